"""Which occurrences of a schedule are due, and which missed ones are made up for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..lifecycle import CatchUp
from .definitions import INSTANT, Definition

__all__ = ["GRACE", "MOST_OCCURRENCES", "Due", "find_due"]

# An occurrence this late does not count as missed: workers are restarted, and machines are busy.
GRACE = timedelta(seconds=15)
# For one schedule at a time; the rest comes next.
MOST_OCCURRENCES = 1_000


@dataclass(frozen=True, slots=True)
class Due:
    """occurrences: to be fired now. missed: the first of those that will not be. following: the next one."""

    occurrences: list[datetime]
    missed: datetime | None
    following: datetime | None


def find_due(definition: Definition, first: datetime, now: datetime) -> Due:
    """Return what to do at a given time about a schedule with the due occurrence `first`."""
    limit = now - GRACE
    if first >= limit:
        occurrences, following = _walk(definition, first, now)
        return Due(occurrences, None, following)
    on_time, following = _walk(definition, definition.following(limit - INSTANT), now)
    made_up, more = _made_up(definition, first, now, bool(on_time))
    if more is not None:
        # The rest comes next.
        return Due(made_up, None, more)
    missed = None if made_up and made_up[0] == first else first
    return Due(made_up + on_time, missed, following)


def _made_up(
    definition: Definition, first: datetime, now: datetime, has_more: bool
) -> tuple[list[datetime], datetime | None]:
    """Return the late occurrences that the policy still makes up for; and the next of them, if there are too many."""
    start: datetime | None = first
    if definition.catch_up_window is not None:
        oldest = now - timedelta(seconds=definition.catch_up_window)
        start = first if first >= oldest else definition.following(oldest - INSTANT)
    end = now - GRACE - INSTANT
    if definition.catch_up == CatchUp.ALL:
        occurrences, following = _walk(definition, start, end)
        return occurrences, following if following is not None and following <= end else None
    if definition.catch_up == CatchUp.LATEST and not has_more and start is not None:
        return _latest(definition, start, end), None
    return [], None


def _latest(definition: Definition, start: datetime, end: datetime) -> list[datetime]:
    """Return the last occurrence up to `end`, found by bisection rather than by trying all of them."""
    if start > end:
        return []
    last, high = start, end
    while high - last > INSTANT:
        middle = last + (high - last) / 2
        occurrence = definition.following(middle)
        if occurrence is not None and occurrence <= end:
            last = occurrence
        else:
            high = middle
    return [last]


def _walk(definition: Definition, start: datetime | None, end: datetime) -> tuple[list[datetime], datetime | None]:
    """Return the occurrences from the first one up to `end`, at most MOST_OCCURRENCES, and the next one after them."""
    occurrences: list[datetime] = []
    occurrence = start
    while occurrence is not None and occurrence <= end and len(occurrences) < MOST_OCCURRENCES:
        occurrences.append(occurrence)
        occurrence = definition.following(occurrence)
    return occurrences, occurrence
