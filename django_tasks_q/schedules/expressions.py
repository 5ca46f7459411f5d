"""Cron expressions: croniter finds the wall-clock times, and this module the moments at which clocks show them.

As in Debian's cron, an expression whose minute or hour begins with `*` fires whenever the clock shows a time that
matches: not at all where an hour is left out, twice where one is repeated. Any other one is a list of appointments:
one in an hour that is left out is kept right after it, and one in a repeated hour is kept once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, CroniterError, croniter
from django.utils.translation import gettext as _

from ..exceptions import InvalidSchedule

__all__ = ["ALIASES", "FIELDS", "CronExpression", "Field", "read_zone"]

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
STEP = timedelta(days=7)
FARTHEST = timedelta(days=366 * 50)
BEGINNING = datetime(2000, 1, 1)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


@dataclass(frozen=True)
class Field:
    """What one of the five fields may say. special: what only days know: the last one, the third Friday."""

    title: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    special: str = ""

    def value(self, text: str) -> int:
        """Return the number that a number or a name stands for. Raise ValueError."""
        number = self.names.index(text) + self.least if text in self.names else _number(text)
        if not self.least <= number <= self.most:
            raise ValueError(text)
        return number

    def expand(self, term: str) -> list[int]:
        """Return the numbers of one term: `*`, `3`, `mon-fri`, `*/15`, `10-30/5`, `5/10`. Raise ValueError."""
        span, slash, step = term.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            low, high = self.least, self.most
        else:
            low = self.value(first)
            high = self.value(last) if dash else self.most if slash else low
        width = _number(step) if slash else 1
        if high < low or not width:
            raise ValueError(term)
        return list(range(low, high + 1, width))


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31, special="l"),
    Field("month", 1, 12, ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")),
    Field(
        "day of the week", 0, 7, ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
        special=r"(?P<day>\w+)#(?P<number>[1-5])|(?P<last>[0-7])l|l(?P<last_too>[0-7])",
    ),
)  # fmt: skip


class CronExpression:
    """An expression of five fields, or one of ALIASES, on the clocks of a time zone.

    Raise InvalidSchedule for what cron does not know, and for what never comes.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        self.zone = read_zone(zone)
        # A croniter walks, and what is parsed is kept for other threads too.
        self._lock = Lock()
        self.fields = split(expression)
        try:
            # Each makes sense of one way in which a day may match.
            self._ways = [croniter(way, BEGINNING, day_or=False) for way in self._for_croniter()]
        except (CroniterError, ValueError) as error:
            raise invalid(expression, str(error)) from None
        if self._next_wall(BEGINNING) is None:
            raise invalid(expression, _("there is no such day"))

    @property
    def follows_clock(self) -> bool:
        """Whether it fires at every moment at which the clock shows a matching time."""
        return self.fields[0].startswith("*") or self.fields[1].startswith("*")

    @property
    def needs_both_days(self) -> bool:
        """Whether a day has to match both fields for days, and not just one of them."""
        return self.fields[2].startswith("*") or self.fields[4].startswith("*")

    def _for_croniter(self) -> Iterator[str]:
        """Yield expressions that together are this one, in numbers, which is what croniter and cron agree on."""
        minutes, hours, dates, months, weekdays = (
            list(_ways(field, text)) for field, text in zip(FIELDS, self.fields, strict=True)
        )
        if self.needs_both_days:
            days = [(date, weekday) for date in dates for weekday in weekdays]
        else:
            days = [(date, "*") for date in dates] + [("*", weekday) for weekday in weekdays]
        for date, weekday in days:
            yield f"{minutes[0]} {hours[0]} {date} {months[0]} {weekday}"

    def following(self, after: datetime) -> datetime | None:
        """Return the first moment after this one, both in UTC; None where there is none within fifty years."""
        return self._following_on_clock(after) if self.follows_clock else self._following_appointment(after)

    def _following_appointment(self, after: datetime) -> datetime | None:
        wall = self._next_wall(_naive(after, self.zone))
        while wall is not None:
            moment = _first_moment(wall, self.zone)
            if moment > after:
                return moment
            wall = self._next_wall(wall)
        return None

    def _following_on_clock(self, after: datetime) -> datetime | None:
        """Walk from one stretch of time to the next in which clocks are not changed."""
        start, last = after, after + FARTHEST
        while start < last:
            offset = _offset(start, self.zone)
            wall = self._next_wall((start + offset).replace(tzinfo=None))
            if wall is None:
                return None
            moment = wall.replace(tzinfo=UTC) - offset
            change = _first_change(start, moment, self.zone)
            if change is None:
                return moment
            if self._matches(change):
                return change
            start = change
        return None

    def _matches(self, moment: datetime) -> bool:
        wall = _naive(moment, self.zone)
        return self._next_wall(wall - timedelta(seconds=1)) == wall

    def _next_wall(self, wall: datetime) -> datetime | None:
        """Return the first matching time after one, on a clock that nobody changes."""
        with self._lock:
            found = [next_ for way in self._ways if (next_ := _next(way, wall)) is not None]
        return min(found, default=None)


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name in the IANA database. Raise InvalidSchedule where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise InvalidSchedule(
            _("There is no time zone “%(name)s”. Give a name such as Europe/Rome.") % {"name": name}, "timezone"
        ) from None


def split(expression: str) -> list[str]:
    """Return the five fields in lower case. Raise InvalidSchedule where cron would not know one."""
    text = expression.strip().lower()
    fields = ALIASES.get(text, text).split()
    if len(fields) != len(FIELDS):
        cause = _("it has %(number)s fields, not five, nor is it one of %(aliases)s")
        raise invalid(expression, cause % {"number": len(fields), "aliases": ", ".join(ALIASES)})
    for field, value in zip(FIELDS, fields, strict=True):
        try:
            list(_ways(field, value))
        except ValueError:
            raise invalid(
                expression, _("“%(value)s” is no %(field)s") % {"value": value, "field": field.title}
            ) from None
    return fields


def invalid(expression: str, cause: str) -> InvalidSchedule:
    message = _("“%(expression)s” is not a cron expression: %(cause)s.")
    return InvalidSchedule(message % {"expression": expression, "cause": cause}, "expression")


def _ways(field: Field, text: str) -> Iterator[str]:
    """Yield what a field says: all numbers in one, then each special day. Raise ValueError."""
    numbers: set[int] = set()
    special = []
    for term in text.split(","):
        match = re.fullmatch(field.special, term, re.ASCII) if field.special else None
        if match:
            special.append(_special(field, match))
        else:
            numbers.update(field.expand(term))
    if numbers:
        # Sunday has two numbers.
        kept = {number % 7 for number in numbers} if field.most == 7 else numbers
        yield "*" if len(kept) == (7 if field.most == 7 else field.most - field.least + 1) else _listed(kept)
    yield from special


def _special(field: Field, match: re.Match[str]) -> str:
    if "day" not in match.re.groupindex:
        return match[0]
    if match["day"]:
        return f"{field.value(match['day']) % 7}#{match['number']}"
    return f"l{int(match['last'] or match['last_too']) % 7}"


def _listed(numbers: set[int]) -> str:
    return ",".join(str(number) for number in sorted(numbers))


def _next(way: croniter, wall: datetime) -> datetime | None:
    way.set_current(wall)
    try:
        found: datetime = way.get_next(datetime)
    except CroniterBadDateError:
        return None
    return found


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _naive(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment at which clocks show this time, or right after the gap in which they do not."""
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _naive(moment, zone) == wall:
        return moment
    # In a gap fold 0 reckons with the offset before it, and so comes out behind it; fold 1 comes out before it.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    change = _first_change(before, moment, zone)
    return moment if change is None else change


def _first_change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first moment after start and up to end from which clocks have another offset."""
    offset = _offset(start, zone)
    known = start
    while known < end:
        probe = min(known + STEP, end)
        if _offset(probe, zone) != offset:
            return _bisect(known, probe, zone)
        known = probe
    return None


def _bisect(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the whole second from which clocks have another offset than at `before`."""
    offset = _offset(before, zone)
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
