"""This package's backend, in the places of the two that Django's own tests of the Tasks framework enqueue with."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from django.db import connections

from django_tasks_q.backend import TasksQBackend
from django_tasks_q.brokers import get_broker
from django_tasks_q.models import Job, Result
from django_tasks_q.results import TasksQResult, result_from_row

from .running import run_now

__all__ = ["DummyBackend", "ImmediateBackend", "empty_tables"]

T = TypeVar("T")


class ImmediateBackend(TasksQBackend):
    """Stores a job, then runs it to its end before enqueue() returns."""

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TasksQResult:
        return run_now(super().enqueue(task, args, kwargs))


class DummyBackend(TasksQBackend):
    """Only stores jobs; shows them all, and forgets them."""

    @property
    def results(self) -> list[TasksQResult]:
        return _outside_event_loop(self._read)

    def clear(self) -> None:
        empty_tables(self.alias)

    def _read(self) -> list[TasksQResult]:
        rows = [row for model in (Job, Result) for row in model.objects.filter(backend=self.alias)]
        return [result_from_row(row) for row in sorted(rows, key=lambda row: row.id)]


def empty_tables(alias: str) -> None:
    """Cancel what is left of a backend, and delete its history."""
    broker = get_broker(alias)
    broker.cancel(_ids(Job, alias))
    broker.delete_results(_ids(Result, alias))
    assert not _ids(Job, alias), "A job was left RUNNING."


def _ids(model: Any, alias: str) -> list[Any]:
    return list(model.objects.filter(backend=alias).values_list("pk", flat=True))


def _outside_event_loop(read: Callable[[], T]) -> T:
    """Read where Django allows it: the tests look at an attribute, in coroutines too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return read()

    def read_and_disconnect() -> T:
        try:
            return read()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(read_and_disconnect).result()
