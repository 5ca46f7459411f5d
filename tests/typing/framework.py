"""Django's own classes and decorator beside ours, for type checkers that know Django's.

It is read by type checkers, and never run.
"""

from typing import Any, assert_type

import django.tasks
from django.tasks import Task as DjangoTask
from django.tasks import TaskContext, TaskResult

from django_tasks_q import Context, TasksQResult, enqueue, enqueue_many, enqueue_on_commit, every, periodic, task


@django.tasks.task
def quote(symbol: str) -> str:
    return symbol


@task(takes_context=True)
def build(context: TaskContext[Any, Any], month: str) -> list[int]:
    return [context.attempt]


@periodic(every(minutes=5))
@task
def sweep(days: int = 7) -> float:
    return days / 2


@django.tasks.task(takes_context=True)
def build_plainly(context: TaskContext[..., Any], month: str) -> None: ...


def name(given: DjangoTask[..., Any]) -> str:
    return given.name


def show(result: TaskResult[..., object]) -> str:
    return result.id


def attempt(context: TaskContext[..., Any]) -> int:
    return context.attempt


def give_ours_to_django(context: Context) -> None:
    show(sweep.enqueue(days=3))
    show(enqueue(build, "2026-11"))
    name(sweep)
    name(build)
    attempt(context)
    show(sweep)  # error
    name(show)  # error


def give_djangos_to_us() -> None:
    assert_type(enqueue(quote, "ACME"), TasksQResult[str])
    assert_type(enqueue(build_plainly, "2026-11"), TasksQResult[None])
    assert_type(enqueue_many([(quote, ("ACME",), {})]), list[TasksQResult[str]])
    enqueue_on_commit(quote, "ACME")
    enqueue(quote, 1)  # error
    enqueue(quote)  # error
    enqueue_on_commit(quote, symbol=1)  # error
    periodic(every(minutes=1))(quote)
    periodic(every(minutes=1))(show)  # error


def use_ours() -> None:
    assert_type(build.enqueue("2026-11"), TasksQResult[list[int]])
    build.enqueue(11)  # error
