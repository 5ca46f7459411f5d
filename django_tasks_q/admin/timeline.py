"""What has happened to a job, in the order in which it did."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..lifecycle import JobStatus, ResultStatus
from .attempts import FailedAttempt
from .display import duration, link, moment, storable

__all__ = ["Event", "timeline"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, or is to happen. kind chooses the colour; since: what time passed before it."""

    at: datetime
    title: Any
    note: Any = ""
    kind: str = ""
    since: Any = ""

    @property
    def when(self) -> str:
        return moment(self.at)


def timeline(row: Any, attempts: Sequence[FailedAttempt], worker_url: Callable[[str], str | None]) -> list[Event]:
    """Return what is known of a job or a result. attempts: its errors. A row that was damaged gives what it can."""
    events = sorted(_events(row, attempts, worker_url), key=lambda event: _comparable(event.at))
    return [_dated(event, before) for event, before in zip(events, [None, *events], strict=False)]


def _events(row: Any, attempts: Sequence[FailedAttempt], worker_url: Callable[[str], str | None]) -> Iterator[Event]:
    yield Event(row.enqueued_at, _("Enqueued"), kind="enqueued")
    if row.run_after is not None and _comparable(row.run_after) > _comparable(row.enqueued_at):
        yield Event(row.run_after, _("Not before this"), kind="scheduled")
    for attempt in attempts:
        if attempt.started_at is not None:
            yield _failed(attempt, attempt.started_at)
    yield from _last_attempt(row, attempts, worker_url)
    # A result has none, whatever status somebody has given it.
    due_at = getattr(row, "due_at", None)
    if row.status == JobStatus.SCHEDULED and due_at is not None and due_at != row.run_after:
        title = _("Next attempt due") if row.attempt else _("Due")
        yield Event(due_at, title, kind="scheduled")
    if getattr(row, "finished_at", None) is not None:
        yield Event(row.finished_at, row.get_status_display(), _total(row), row.status.lower())


def _failed(attempt: FailedAttempt, started_at: datetime) -> Event:
    title = _("Attempt %s") % attempt.number
    words = [attempt.kind or attempt.name, _("after %s") % attempt.lasted]
    worker = link(attempt.worker_url, attempt.worker) if attempt.worker else ""
    return Event(started_at, title, _joined([*words, worker]), "failed")


def _last_attempt(
    row: Any, recorded: Sequence[FailedAttempt], worker_url: Callable[[str], str | None]
) -> Iterator[Event]:
    """Yield the attempt of which no error tells: the one that runs, or went well."""
    ran = row.status in (JobStatus.RUNNING, ResultStatus.SUCCESSFUL)
    if not ran or row.last_attempted_at is None or any(attempt.number == row.attempt for attempt in recorded):
        return
    worker = link(worker_url(row.worker_id), storable(row.worker_id)) if row.worker_id else ""
    running = row.status == JobStatus.RUNNING
    words = _("running") if running else _("after %s") % duration(_seconds(row.last_attempted_at, row.finished_at))
    kind = "running" if running else "successful"
    yield Event(row.last_attempted_at, _("Attempt %s") % row.attempt, _joined([words, worker]), kind)


def _total(row: Any) -> Any:
    known = [_("%s after it was enqueued") % duration(_seconds(row.enqueued_at, row.finished_at))]
    if row.attempt > 1:
        known.append(ngettext("%(count)d attempt", "%(count)d attempts", row.attempt) % {"count": row.attempt})
    return _joined(known)


def _dated(event: Event, before: Event | None) -> Event:
    if before is None:
        return event
    seconds = (_comparable(event.at) - _comparable(before.at)).total_seconds()
    return Event(event.at, event.title, event.note, event.kind, _("%s later") % duration(seconds) if seconds else "")


def _joined(words: Sequence[Any]) -> Any:
    return format_html_join(" · ", "{}", ((word,) for word in words if word))


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, (_comparable(end) - _comparable(start)).total_seconds())


def _comparable(value: datetime) -> datetime:
    return value if timezone.is_aware(value) else timezone.make_aware(value)
