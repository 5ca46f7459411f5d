"""How a schedule, and what became of its slots, are shown."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext_lazy

from ...exceptions import InvalidSchedule
from ...lifecycle import JobStatus, ResultStatus, RunStatus
from ...monitoring.schedules import ScheduleState, run_of_job, runs, state
from ...schedules.expressions import read_zone
from ...schedules.jobs import METADATA
from ...schedules.moments import to_aware
from ...schedules.timings import load_timing
from ...schedules.words import describe
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
    ScheduleState.FINISHED: gettext_lazy("Over"),
}
STATUSES = dict([*JobStatus.choices, *ResultStatus.choices])
SHOWN_RUNS = 20

# Returns the address of the page of a job, wherever it is now.
JobURL = Callable[[uuid.UUID], str | None]


def words(row: Any) -> str:
    """Return when it runs, in words, or what is wrong there; without a look at its payload."""
    try:
        return describe(load_timing(row.kind, row.expression, row.timezone))
    except InvalidSchedule as error:
        return storable(str(error))


def state_of(row: Any) -> str:
    """Return whether it runs, and why not: by whom it was paused, or what went wrong."""
    found = state(row)
    label = badge(found, STATES[found])
    if found == ScheduleState.PAUSED and row.paused_by:
        return below(label, gettext_lazy("by %s") % storable(row.paused_by))
    if found != ScheduleState.ACTIVE and row.reason:
        return format_html('{} <span class="tasksq-reason">{}</span>', label, shortened(row.reason))
    return label


def next_run(row: Any) -> str:
    """Return how far ahead it is, and what the schedule's own clocks show then, and the viewer's."""
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
    """Return the status of a job as a label; nothing where it has been pruned."""
    return badge(status, STATUSES.get(status, status)) if status else ""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of a slot, as it is shown. late: how long after the slot its job was enqueued."""

    slot: str
    outcome: str
    late: str
    job: str
    status: str
    reason: str


def past_runs(row: Any, job_url: JobURL) -> list[Run]:
    """Return what became of the latest slots of a schedule, the latest first."""
    return [
        Run(
            slot=moment(record.slot),
            outcome=str(RunStatus(record.status).label),
            late=duration((record.fired_at - record.slot).total_seconds()) if _was_fired(record.status) else NOTHING,
            job=link(job_url(record.job_id) if record.job_status else None, record.job_id) if record.job_id else "",
            status=job_badge(record.job_status),
            reason=storable(record.reason),
        )
        for record in runs(row, SHOWN_RUNS)
    ]


def is_of_schedule(call: Any) -> bool:
    """Say whether a job or a result comes from a schedule."""
    facts = call.metadata.get(METADATA) if call is not None and isinstance(call.metadata, dict) else None
    return isinstance(facts, dict) and call.backend in backend_aliases()


def schedule_of(call: Any, url: Callable[[int], str | None]) -> str:
    """Return the schedule that a job or a result comes from; a link where that is known still."""
    facts = call.metadata[METADATA]
    run = run_of_job(call.pk, call.backend)
    name = storable(str(run.schedule.name if run else facts.get("name", "")))
    return below(link(url(run.schedule_id) if run else None, name), storable(str(facts.get("slot", ""))))


def _was_fired(status: str) -> bool:
    return status == RunStatus.ENQUEUED
