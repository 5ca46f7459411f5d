"""What has happened to a job, in order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...lifecycle import JobStatus, ResultStatus
from ...models import Job, Result
from ..display import duration, link, moment, storable
from .attempts import FailedAttempt

__all__ = ["Event", "timeline"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, or will happen. kind chooses the colour; since: the time since the event before."""

    at: datetime
    title: object
    note: str = ""
    kind: str = ""
    since: str = ""

    @property
    def when(self) -> str:
        return moment(self.at)


def timeline(
    row: Job | Result, attempts: Sequence[FailedAttempt], worker_url: Callable[[str], str | None]
) -> list[Event]:
    """Return the events of a job or a result. attempts: its errors. A damaged row shows what can be read."""
    events = sorted(_events(row, attempts, worker_url), key=lambda event: _comparable(event.at))
    return [_dated(event, before) for event, before in zip(events, [None, *events], strict=False)]


def _events(
    row: Job | Result, attempts: Sequence[FailedAttempt], worker_url: Callable[[str], str | None]
) -> Iterator[Event]:
    yield Event(row.enqueued_at, _("Enqueued"), kind="enqueued")
    if row.run_after is not None and _comparable(row.run_after) > _comparable(row.enqueued_at):
        yield Event(row.run_after, _("Earliest start"), kind="scheduled")
    for attempt in attempts:
        if attempt.started_at is not None:
            yield _failed(attempt, attempt.started_at)
    yield from _last_attempt(row, attempts, worker_url)
    # A result has none, whatever its status.
    due_at = getattr(row, "due_at", None)
    if row.status == JobStatus.SCHEDULED and due_at is not None and due_at != row.run_after:
        title = _("Next attempt due") if row.attempt else _("Due")
        yield Event(due_at, title, kind="scheduled")
    finished_at = getattr(row, "finished_at", None)
    if finished_at is not None:
        yield Event(finished_at, row.get_status_display(), _total(row, finished_at), row.status.lower())


def _failed(attempt: FailedAttempt, started_at: datetime) -> Event:
    title = _("Attempt %s") % attempt.number
    words = [attempt.kind or attempt.name, _("after %s") % attempt.lasted]
    worker = link(attempt.worker_url, attempt.worker) if attempt.worker else ""
    return Event(started_at, title, _joined([*words, worker]), "failed")


def _last_attempt(
    row: Job | Result, recorded: Sequence[FailedAttempt], worker_url: Callable[[str], str | None]
) -> Iterator[Event]:
    """Yield the attempt without an error: the one that is running, or succeeded."""
    ran = row.status in (JobStatus.RUNNING, ResultStatus.SUCCESSFUL)
    if not ran or row.last_attempted_at is None or any(attempt.number == row.attempt for attempt in recorded):
        return
    worker = link(worker_url(row.worker_id), storable(row.worker_id)) if row.worker_id else ""
    running = row.status == JobStatus.RUNNING
    lasted = _seconds(row.last_attempted_at, getattr(row, "finished_at", None))
    words = _("running") if running else _("after %s") % duration(lasted)
    kind = "running" if running else "successful"
    yield Event(row.last_attempted_at, _("Attempt %s") % row.attempt, _joined([words, worker]), kind)


def _total(row: Job | Result, finished_at: datetime) -> SafeString:
    known = [_("%s after it was enqueued") % duration(_seconds(row.enqueued_at, finished_at))]
    if row.attempt > 1:
        known.append(ngettext("%(count)d attempt", "%(count)d attempts", row.attempt) % {"count": row.attempt})
    return _joined(known)


def _dated(event: Event, before: Event | None) -> Event:
    if before is None:
        return event
    seconds = (_comparable(event.at) - _comparable(before.at)).total_seconds()
    return Event(event.at, event.title, event.note, event.kind, _("%s later") % duration(seconds) if seconds else "")


def _joined(words: Sequence[object]) -> SafeString:
    return format_html_join(" · ", "{}", ((word,) for word in words if word))


def _seconds(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None:
        return None
    return max(0.0, (_comparable(end) - _comparable(start)).total_seconds())


def _comparable(value: datetime) -> datetime:
    return value if timezone.is_aware(value) else timezone.make_aware(value)
