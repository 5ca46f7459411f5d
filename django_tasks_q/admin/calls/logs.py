"""The log lines of a job's runs, on its page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ...models import Job, Result
from ...monitoring.job_logs import LoggedLine, find_lines
from ..display import storable

__all__ = ["ShownLine", "ShownLog", "shown_logs"]

# The colours of the levels, which are also named.
COLOURS = {"WARNING": "scheduled", "ERROR": "failed", "CRITICAL": "failed"}


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line for display: text, except for the time."""

    time: SafeString | str
    level: str
    colour: str
    logger: str
    message: str


@dataclass(frozen=True, slots=True)
class ShownLog:
    """The lines of one run. is_whole: False if there are more before these."""

    number: int
    lines: list[ShownLine]
    is_whole: bool


def shown_logs(row: Job | Result) -> Iterator[ShownLog]:
    """Yield what each run has logged, the last run first."""
    for run in find_lines(row):
        yield ShownLog(run.number, [_shown(line) for line in run.lines], run.is_whole)


def _shown(line: LoggedLine) -> ShownLine:
    level, logger, message = map(storable, line[1:])
    return ShownLine(_time(line.at) if line.at else "", level, COLOURS.get(level, "ready"), logger, message)


def _time(at: datetime) -> SafeString:
    """Return the time of day, to the millisecond; the date is in the title."""
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    clock = f"{local:%H:%M:%S}.{local.microsecond // 1_000:03d}"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), f"{local:%Y-%m-%d}", clock)
