"""What the tests of the kit run; calls() is what they mock."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, connections, transaction
from django.utils import timezone, translation

from django_tasks_q import Context, SoftCancel, SoftTimeout, task
from django_tasks_q.exceptions import TaskTimeout
from django_tasks_q.models import Job

from ..models import Effect
from ..tasks import noop


def service(*args: Any) -> Any:
    """Stand for something outside, which tests replace."""


@task(max_attempts=3, backoff=60)
def call_service(number: int) -> Any:
    return service(number)


@task(atomic=True)
def write_and_call(label: str) -> None:
    Effect.objects.create(label=label)
    transaction.on_commit(service)
    service(label)


@task
def write_in_parts(label: str) -> None:
    """Have an error of the database in the middle, and go on."""
    Effect.objects.create(label=f"{label} 1")
    row = Effect.objects.create(label=f"{label} 2")
    try:
        Effect.objects.bulk_create([Effect(pk=row.pk, label="twice")])
    except IntegrityError:
        Effect.objects.create(label=f"{label} 3")
    with transaction.atomic():
        Effect.objects.create(label=f"{label} 4")
        transaction.on_commit(lambda: service(label))


@task
def write_and_break(label: str) -> None:
    """End with an error of the database."""
    row = Effect.objects.create(label=label)
    Effect.objects.bulk_create([Effect(pk=row.pk, label="twice")])


@task
def leave_open() -> None:
    transaction.atomic().__enter__()
    Effect.objects.create(label="lost")


@task(takes_context=True)
def report(context: Context, pages: int) -> int:
    for page in range(pages):
        if context.is_cancelled:
            return page
        service(context)
        context.progress(page + 1, pages, f"page {page + 1}")
    return pages


@task
def stop_at_statement(label: str) -> None:
    service()
    try:
        Effect.objects.create(label=label)
    except SoftCancel:
        service("cleaned up")
        raise


@task
async def ask_async(question: str) -> str:
    await Effect.objects.acreate(label=question)
    return f"{question}!"


@task
def again() -> None:
    again.enqueue()


@task
def again_later() -> None:
    again_later.using(run_after=timedelta(minutes=5)).enqueue()


@task(timeout=30)
def slow() -> str:
    return str(service())


@task
def surroundings() -> list[str]:
    return [translation.get_language(), str(timezone.get_current_timezone())]


@task
def parent() -> str:
    return call_service.enqueue(1).id


@task
def end(kind: str) -> None:
    raise {"SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "TaskTimeout": TaskTimeout}[kind]


@task(takes_context=True)
async def cancel_itself(context: Context) -> None:
    await cancel_itself.get_backend().aget_result(context.id)
    await sync_to_async(cancel_itself.get_backend().cancel)(context.id)
    # Never set.
    await asyncio.Event().wait()
    await Effect.objects.acreate(label="not reached")


@task
def leave_broken() -> None:
    transaction.atomic().__enter__()
    row = Effect.objects.create(label="lost")
    Effect.objects.bulk_create([Effect(pk=row.pk, label="twice")])


@task
def close_connections() -> None:
    connections.close_all()


@task(takes_context=True)
def delete_itself(context: Context) -> None:
    Job.objects.filter(pk=context.id).delete()


@task
def read_in_chunks() -> list[str]:
    found = []
    for effect in Effect.objects.order_by("label").iterator(chunk_size=1):
        found.append(effect.label)
        Effect.objects.filter(pk=effect.pk).update(attempt=1)
    return found


@task
def enqueue_several() -> None:
    noop.enqueue_many([()] * 3)


@task
def set_up_logging() -> None:
    logging.getLogger().handlers.clear()


@task(soft_timeout=0.2)
def sleep_in_database() -> str:
    Effect.objects.create(label="before")
    try:
        with connections["default"].cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
    except SoftTimeout:
        Effect.objects.create(label="after")
        return "cleaned up"
    return "slept"
