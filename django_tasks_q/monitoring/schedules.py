"""Which schedules there are, when they run next, and what happened to their slots."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet, TextChoices
from django.utils.translation import gettext_lazy as _

from ..brokers import get_broker
from ..exceptions import InvalidSchedule, ScheduleNotFound
from ..models import Job, Result, Schedule, ScheduleRun
from ..moments import to_aware
from ..schedules.definitions import Definition
from ..schedules.expressions import read_zone
from ..schedules.humanize import describe

__all__ = [
    "RunRecord",
    "ScheduleState",
    "find_schedule",
    "job_statuses",
    "list_schedules",
    "next_runs",
    "run_of_job",
    "runs",
    "state",
    "upcoming",
    "words",
]


class ScheduleState(TextChoices):
    ACTIVE = "ACTIVE", _("Active")
    PAUSED = "PAUSED", _("Paused by an operator")
    DISABLED = "DISABLED", _("Disabled")
    FINISHED = "FINISHED", _("Finished")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What happened to a slot. job_status: of its job; None if it has none, or no longer."""

    slot: datetime
    status: str
    fired_at: datetime
    job_id: uuid.UUID | None
    job_status: str | None
    reason: str


def list_schedules(backend: str = "default") -> list[Schedule]:
    """Return the schedules of a backend, by name."""
    return list(_all(backend).order_by("name"))


def upcoming(limit: int, backend: str = "default") -> list[Schedule]:
    """Return the schedules that run next, the soonest first, without their tasks' arguments."""
    rows = _all(backend).filter(next_run_at__isnull=False).order_by("next_run_at")
    return list(rows.defer("args", "kwargs", "options")[:limit])


def find_schedule(name: str, backend: str = "default") -> Schedule:
    """Return a schedule by its name. Raise ScheduleNotFound."""
    row = _all(backend).filter(name=name).first()
    if row is None:
        raise ScheduleNotFound(f"There is no schedule “{name}” of the backend “{backend}”.")
    return row


def state(row: Schedule) -> ScheduleState:
    """Return whether a schedule runs; row.reason says why not."""
    if row.paused:
        return ScheduleState.PAUSED
    if not row.enabled:
        return ScheduleState.DISABLED
    return ScheduleState.FINISHED if row.next_run_at is None else ScheduleState.ACTIVE


def words(row: Schedule | Definition) -> str:
    """Return when it fires, in the active language; if that is invalid, what is wrong with it."""
    try:
        return describe(_definition(row).timing)
    except InvalidSchedule as error:
        return str(error)


def next_runs(row: Schedule | Definition, count: int = 10, *, after: datetime | None = None) -> list[datetime]:
    """Return the next slots, aware and in the schedule's own zone: those it has if nothing stops it.

    row: stored or not, so that a form can show a preview. after: aware; None means now, by the database's clock. Raise
    InvalidSchedule.
    """
    definition = _definition(row)
    zone = read_zone(definition.timezone)
    found: list[datetime] = []
    moment = to_aware(get_broker(definition.backend).dialect.now() if after is None else after)
    slot = definition.following(moment)
    while slot is not None and len(found) < count:
        found.append(slot.astimezone(zone))
        slot = definition.following(slot)
    return found


def runs(row: Schedule, limit: int = 20) -> list[RunRecord]:
    """Return what happened to the latest slots of a schedule, the latest first."""
    rows = list(_runs(row)[:limit])
    statuses = job_statuses(row.backend, [run.job_id for run in rows if run.job_id])
    return [_record(run, statuses) for run in rows]


def _record(run: ScheduleRun, statuses: Mapping[uuid.UUID, str]) -> RunRecord:
    status = statuses.get(run.job_id) if run.job_id else None
    return RunRecord(run.slot, run.status, run.fired_at, run.job_id, status, run.reason)


def _runs(row: Schedule) -> QuerySet[ScheduleRun]:
    return ScheduleRun.objects.using(get_broker(row.backend).using).filter(schedule=row.pk).order_by("-slot")


def run_of_job(job_id: uuid.UUID | str, backend: str = "default") -> ScheduleRun | None:
    """Return the schedule run that a job comes from, with its schedule; None if it comes from none."""
    found = ScheduleRun.objects.using(get_broker(backend).using).select_related("schedule")
    return next(iter(found.filter(job_id=job_id)[:1]), None)


def job_statuses(backend: str, ids: list[uuid.UUID]) -> dict[uuid.UUID, str]:
    using = get_broker(backend).using
    results = Result.objects.using(using).filter(id__in=ids).values_list("id", "status")
    jobs = Job.objects.using(using).filter(id__in=ids).values_list("id", "status")
    return {**dict(jobs), **dict(results)}


def _all(backend: str) -> QuerySet[Schedule]:
    return Schedule.objects.using(get_broker(backend).using).filter(backend=backend)


def _definition(row: Schedule | Definition) -> Definition:
    return row if isinstance(row, Definition) else Definition.of_row(row)
