"""What the runs of a job have logged."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from ..models import Job, JobLog, Result
from ..moments import shown

__all__ = ["LoggedAttempt", "LoggedLine", "find_lines"]

# Rows that are read. Usually that is all of them: a run has a row for each second in which it has logged something,
# and soon reaches its limit.
MOST_CHUNKS = 500


class LoggedLine(NamedTuple):
    """One line. at: by the database's clock, None for a line that only says how many lines are missing."""

    at: datetime | None
    level: str
    logger: str
    message: str


@dataclass(frozen=True, slots=True)
class LoggedAttempt:
    """The lines of one run, the oldest first. is_whole: False if there are more before these."""

    number: int
    lines: list[LoggedLine] = field(default_factory=list)
    is_whole: bool = True


def find_lines(row: Job | Result, most: int = MOST_CHUNKS) -> list[LoggedAttempt]:
    """Return what the last runs of a job have logged, the last run first. Damaged rows are left out.

    most: how many rows of JobLog are read.
    """
    chunks = JobLog.objects.using(row._state.db).filter(job_id=row.pk).order_by("-attempt", "-id")
    found = list(chunks.values_list("attempt", "entries")[: most + 1])
    lines: dict[int, list[LoggedLine]] = {}
    for attempt, entries in reversed(found[:most]):
        lines.setdefault(attempt, []).extend(_read(entries))
    cut = min(lines, default=0) if len(found) > most else None
    return [LoggedAttempt(number, lines[number], number != cut) for number in sorted(lines, reverse=True)]


def _read(entries: object) -> Iterator[LoggedLine]:
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, list) and len(entry) == 4:
            at, level, logger, message = entry
            yield LoggedLine(_moment(at), str(level), str(logger), str(message))


def _moment(at: Any) -> datetime | None:
    try:
        return shown(at) if at else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None
