"""Schedules, without waiting for their time."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.asyncio import async_unsafe

from ..brokers import get_broker
from ..brokers.base import Broker
from ..compat import task_backends
from ..control import schedules
from ..discovery import import_tasks
from ..exceptions import ScheduleNotFound
from ..models import Schedule, ScheduleRun
from ..moments import to_aware
from ..results import TasksQResult
from ..schedules import store
from ..schedules.firing import Firer
from ..schedules.migrating import synchronise_declared
from ..schedules.task_info import describe_task
from .clock import on_test_clock, travel

__all__ = ["fire_schedules"]


@async_unsafe("fire_schedules() uses the database. In an async test, use: await sync_to_async(fire_schedules)().")
def fire_schedules(
    *names: str, since: datetime | timedelta | None = None, backend: str = "default"
) -> list[TasksQResult[Any]]:
    """Enqueue the jobs of schedules; return their results. run_jobs() runs them.

    names: of these, else of all that are not paused or disabled. since: what was due from then on until now by the
    clock of the test, as a worker would have fired it: a moment, or how long ago. None: each once, whatever the time.

    Raise ScheduleNotFound for a name that no schedule has, InvalidSchedule if what is declared could never run.
    """
    synchronise_declared(backend, import_tasks(), level=logging.DEBUG)
    broker = on_test_clock(get_broker(backend))
    rows = _find(broker, names)
    with broker.transaction():
        if since is None:
            ids = [schedules.enqueue_now(broker, row).id for row in rows]
        else:
            ids = [job_id for row in rows for job_id in _fire_due(broker, row, _moment(since))]
    return [task_backends[backend].get_result(job_id) for job_id in ids]


def _moment(since: datetime | timedelta) -> datetime:
    return to_aware(timezone.now()) - since if isinstance(since, timedelta) else to_aware(since)


def _find(broker: Broker, names: tuple[str, ...]) -> list[Schedule]:
    rows = {row.name: row for row in Schedule.objects.using(broker.using).filter(backend=broker.alias).order_by("id")}
    for name in names:
        if name not in rows:
            known = ", ".join(rows) or "none"
            raise ScheduleNotFound(f'There is no schedule "{name}". There are: {known}.')
    if names:
        return [rows[name] for name in names]
    return [row for row in rows.values() if row.enabled and not row.paused]


def _fire_due(broker: Broker, row: Schedule, moment: datetime) -> list[str]:
    """Let a schedule begin at a moment, and fire what has come due since; return the ids of its jobs."""
    runs = ScheduleRun.objects.using(broker.using).filter(schedule=row.pk)
    before = list(runs.values_list("pk", flat=True))
    with travel(moment):
        # The first occurrence that it knows is the one after now.
        store.set_paused(broker, row, row.paused, row.paused_by)
    Firer(broker, type(task_backends[broker.alias]), describe_task).fire_one(row.pk)
    return [str(run.job_id) for run in runs.exclude(pk__in=before).order_by("slot", "pk") if run.job_id]
