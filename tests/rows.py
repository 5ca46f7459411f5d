"""The contents of the tables, read directly."""

from collections.abc import Collection, Iterable
from typing import Any

from django.utils import timezone

from django_tasks_q import TasksQResult
from django_tasks_q.lifecycle import JobStatus
from django_tasks_q.models import Job, Result

from .models import Effect
from .waiting import LIMIT, wait_for

__all__ = ["insert_job", "row_of", "wait_for_effects", "wait_until_begun", "wait_until_done", "wait_until_running"]


def row_of(result: TasksQResult) -> Job | Result:
    """Return the row of a job, wherever it is now."""
    return Job.objects.filter(id=result.id).first() or Result.objects.get(id=result.id)


def insert_job(task_path: str, **columns: Any) -> Job:
    """Insert a READY job that enqueue() would refuse."""
    return Job.objects.create(task_path=task_path, enqueued_at=timezone.now(), **columns)


def wait_until_done(count: int, *, timeout: float = LIMIT) -> None:
    """Wait until this many results are in the history and no job is left."""
    wait_for(lambda: Result.objects.count() >= count, f"{count} results", timeout=timeout)
    wait_for(lambda: not Job.objects.exists(), "no job to be left", timeout=timeout)


def wait_until_running(count: int, *, timeout: float = LIMIT) -> None:
    """Wait until this many jobs are RUNNING."""
    running = Job.objects.filter(status=JobStatus.RUNNING)
    wait_for(lambda: running.count() >= count, f"{count} RUNNING jobs", timeout=timeout)


def wait_until_begun(count: int, *, timeout: float = LIMIT) -> None:
    """Wait until this many jobs are known to have begun: only then is the loss of their worker charged to them."""
    begun = Job.objects.filter(status=JobStatus.RUNNING, begun_at__isnull=False)
    wait_for(lambda: begun.count() >= count, f"{count} jobs that have begun", timeout=timeout)


def wait_for_effects(labels: Iterable[str], *, attempt: int = 1, timeout: float = LIMIT) -> Collection[Effect]:
    """Wait until the tasks with these labels have left their effects in this attempt; return them."""
    wanted = set(labels)

    def left() -> list[Effect] | None:
        effects = list(Effect.objects.filter(label__in=wanted, attempt=attempt))
        return effects if {effect.label for effect in effects} == wanted else None

    found = wait_for(left, f"the effects of {len(wanted)} jobs", timeout=timeout)
    assert found is not None
    return found
