"""The errors in a job's row: one for each attempt that failed, was lost, or could not begin."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.dateparse import parse_datetime
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from ...tracebacks import split_traceback
from ..display import Text, duration, moment, storable

__all__ = ["FailedAttempt", "failed_attempts"]

KINDS = {
    "cancelled": gettext_lazy("cancelled"),
    "lost": gettext_lazy("process lost"),
    "parked": gettext_lazy("unknown task"),
    "soft_timeout": gettext_lazy("soft time limit"),
    "timeout": gettext_lazy("time limit"),
}

KINDS_OF_FRAME = {True: " tasksq-own", False: " tasksq-foreign", None: ""}


@dataclass(frozen=True, slots=True)
class FailedAttempt:
    """One error, for display. started_at: as stored in the row; ended: when; lasted: how long the attempt took."""

    number: object
    exception: str
    traceback: str
    kind: Text
    worker: str
    worker_url: str | None
    started_at: datetime | None
    ended: str
    lasted: str

    @property
    def name(self) -> str:
        """The exception's name without its module."""
        return self.exception.rpartition(".")[2]

    @property
    def shown(self) -> SafeString:
        """The traceback, with the frames of the project's own code emphasised."""
        return format_html_join(
            "",
            '<span class="tasksq-frame{}">{}</span>',
            ((KINDS_OF_FRAME[passage.own], passage.text) for passage in split_traceback(self.traceback)),
        )

    @property
    def summary(self) -> str:
        """The last line of the traceback, which is the exception's message."""
        lines = self.traceback.strip().splitlines()
        return lines[-1] if lines else self.exception


def failed_attempts(errors: object, worker_url: Callable[[str], str | None]) -> Iterator[FailedAttempt]:
    """Yield the errors of a row, the latest first; of a damaged row, those that can be read."""
    for entry in reversed(errors if isinstance(errors, list) else [errors]):
        yield _read(entry if isinstance(entry, Mapping) else {"traceback": entry}, worker_url)


def _read(entry: Mapping[str, object], worker_url: Callable[[str], str | None]) -> FailedAttempt:
    started_at, finished_at = _moment(entry.get("started_at")), _moment(entry.get("finished_at"))
    worker = _text(entry.get("worker"))
    return FailedAttempt(
        number=entry.get("attempt", ""),
        exception=_text(entry.get("exception")),
        traceback=_text(entry.get("traceback")),
        kind=KINDS.get(_text(entry.get("kind")), ""),
        worker=worker,
        worker_url=worker_url(worker) if worker else None,
        started_at=started_at,
        ended=moment(finished_at) if finished_at else "",
        lasted=duration(_seconds_between(started_at, finished_at)),
    )


def _text(value: object) -> str:
    return "" if value is None else storable(str(value))


def _moment(value: object) -> datetime | None:
    try:
        return parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    if start is None or end is None or (start.tzinfo is None) != (end.tzinfo is None):
        return None
    return (end - start).total_seconds()
