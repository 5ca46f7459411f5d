"""Which slots of a schedule are due, and which missed ones are made up for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..lifecycle import CatchUp
from .definitions import INSTANT, Definition

__all__ = ["GRACE", "MOST_SLOTS", "Due", "find_due"]

# A slot this late does not count as missed: workers are restarted, and machines are busy.
GRACE = timedelta(seconds=15)
# For one schedule at a time; the rest comes next.
MOST_SLOTS = 1_000


@dataclass(frozen=True, slots=True)
class Due:
    """slots: to be fired now. missed: the first of those that will not be. following: the next slot after these."""

    slots: list[datetime]
    missed: datetime | None
    following: datetime | None


def find_due(definition: Definition, first: datetime, now: datetime) -> Due:
    """Return what to do at a given time about a schedule with the due slot `first`."""
    limit = now - GRACE
    if first >= limit:
        slots, following = _walk(definition, first, now)
        return Due(slots, None, following)
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
    """Return the late slots that the policy still makes up for; and the next of them, if there are too many."""
    start: datetime | None = first
    if definition.catch_up_window is not None:
        oldest = now - timedelta(seconds=definition.catch_up_window)
        start = first if first >= oldest else definition.following(oldest - INSTANT)
    end = now - GRACE - INSTANT
    if definition.catch_up == CatchUp.ALL:
        slots, following = _walk(definition, start, end)
        return slots, following if following is not None and following <= end else None
    if definition.catch_up == CatchUp.LATEST and not has_more and start is not None:
        return _latest(definition, start, end), None
    return [], None


def _latest(definition: Definition, start: datetime, end: datetime) -> list[datetime]:
    """Return the last slot up to `end`, found by bisection rather than by trying all of them."""
    if start > end:
        return []
    last, high = start, end
    while high - last > INSTANT:
        middle = last + (high - last) / 2
        slot = definition.following(middle)
        if slot is not None and slot <= end:
            last = slot
        else:
            high = middle
    return [last]


def _walk(definition: Definition, start: datetime | None, end: datetime) -> tuple[list[datetime], datetime | None]:
    """Return the slots from the first one up to `end`, at most MOST_SLOTS, and the next one after them."""
    slots: list[datetime] = []
    slot = start
    while slot is not None and slot <= end and len(slots) < MOST_SLOTS:
        slots.append(slot)
        slot = definition.following(slot)
    return slots, slot
