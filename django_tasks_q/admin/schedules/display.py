"""How a schedule and its past slots are displayed."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.utils.html import format_html
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext_lazy

from ...exceptions import InvalidSchedule
from ...lifecycle import JobStatus, OccurrenceStatus, ResultStatus
from ...models import Job, Result, Schedule
from ...moments import to_aware
from ...monitoring.schedules import ScheduleState, run_of_job, runs, state
from ...schedules.expressions import read_zone
from ...schedules.humanize import describe
from ...schedules.specs import METADATA
from ...schedules.timings import load_timing
from ..backends import backend_aliases
from ..display import NOTHING, badge, below, duration, link, moment, shortened, storable
from .previews import clock

__all__ = [
    "STATES",
    "Run",
    "is_of_schedule",
    "job_badge",
    "next_run",
    "past_runs",
    "schedule_of",
    "state_of",
    "words",
]

STATES = {
    ScheduleState.ACTIVE: gettext_lazy("Active"),
    ScheduleState.PAUSED: gettext_lazy("Paused"),
    ScheduleState.DISABLED: gettext_lazy("Disabled"),
    ScheduleState.FINISHED: gettext_lazy("Finished"),
}
STATUSES = dict([*JobStatus.choices, *ResultStatus.choices])
SHOWN_RUNS = 20

# Returns the URL of a job's page, in whichever table it is.
JobURL = Callable[[uuid.UUID], str | None]


def words(row: Schedule) -> str:
    """Return when it runs, as text, or what is wrong with that; without reading its payload."""
    try:
        return describe(load_timing(row.kind, row.expression, row.timezone))
    except InvalidSchedule as error:
        return storable(str(error))


def state_of(row: Schedule) -> str:
    """Return whether it runs, and if not, why: who paused it, or what went wrong."""
    found = state(row)
    label = badge(found, STATES[found])
    if found == ScheduleState.PAUSED and row.paused_by:
        return below(label, gettext_lazy("by %s") % storable(row.paused_by))
    if found != ScheduleState.ACTIVE and row.reason:
        return format_html('{} <span class="tasksq-reason">{}</span>', label, shortened(row.reason))
    return label


def next_run(row: Schedule) -> str:
    """Return how far ahead it is, and the time in the schedule's own time zone and in the user's."""
    if row.next_run_at is None:
        return NOTHING
    due = to_aware(row.next_run_at)
    times = dict.fromkeys(clock(time, bool(due.second)) for time in _times(due, row.timezone))
    lines = [moment(row.next_run_at), *(format_html('<span class="tasksq-clock">{}</span>', time) for time in times)]
    return format_html("{}" * len(lines), *lines)


def _times(due: datetime, zone: str) -> Iterator[datetime]:
    with suppress(InvalidSchedule):
        yield due.astimezone(read_zone(zone))
    yield due.astimezone(get_current_timezone())


def job_badge(status: str | None) -> str:
    """Return the status of a job as a label; nothing if it has been pruned."""
    return badge(status, STATUSES.get(status, status)) if status else ""


@dataclass(frozen=True, slots=True)
class Run:
    """What happened to a slot, for display. late: how long after the slot its job was enqueued."""

    slot: str
    outcome: str
    late: str
    job: str
    status: str
    reason: str


def past_runs(row: Schedule, job_url: JobURL) -> list[Run]:
    """Return what happened to the latest slots of a schedule, the latest first."""
    return [
        Run(
            slot=moment(record.slot),
            outcome=str(OccurrenceStatus(record.status).label),
            late=duration((record.fired_at - record.slot).total_seconds()) if _was_fired(record.status) else NOTHING,
            job=link(job_url(record.job_id) if record.job_status else None, record.job_id) if record.job_id else "",
            status=job_badge(record.job_status),
            reason=storable(record.reason),
        )
        for record in runs(row, SHOWN_RUNS)
    ]


def is_of_schedule(call: Job | Result | None) -> bool:
    """Return whether a job or a result comes from a schedule."""
    if call is None or not isinstance(call.metadata, dict):
        return False
    return isinstance(call.metadata.get(METADATA), dict) and call.backend in backend_aliases()


def schedule_of(call: Job | Result, url: Callable[[int], str | None]) -> str:
    """Return the schedule that a job or a result comes from; a link if it still exists."""
    facts = call.metadata[METADATA]
    run = run_of_job(call.pk, call.backend)
    name = storable(str(run.schedule.name if run else facts.get("name", "")))
    return below(link(url(run.schedule_id) if run else None, name), storable(str(facts.get("slot", ""))))


def _was_fired(status: str) -> bool:
    return status == OccurrenceStatus.ENQUEUED
