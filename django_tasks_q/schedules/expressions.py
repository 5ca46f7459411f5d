"""Cron expressions: croniter finds the local times, and this module the UTC times at which clocks show them.

As in Debian's cron, an expression with a minute or hour that begins with `*` fires whenever the clock shows a matching
time: not at all in a skipped hour, twice in a repeated one. Any other expression is a list of appointments: one in a
skipped hour fires right after it, and one in a repeated hour fires once.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from threading import Lock
from typing import Any
from zoneinfo import ZoneInfo

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
    """What one of the five fields may contain. special: only for days: the last one, the third Friday."""

    title: str
    least: int
    most: int
    names: tuple[str, ...] = ()
    special: str = ""

    def value(self, text: str) -> int:
        """Return the number that a number or a name means. Raise ValueError."""
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
    """An expression of five fields, or one of ALIASES, in a time zone.

    Raise InvalidSchedule for an expression that cron does not know, or that never matches.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        self.zone = read_zone(zone)
        # A croniter has state, and parsed expressions are shared between threads.
        self._lock = Lock()
        self.fields = split(expression)
        croniter = _croniter()
        try:
            # Each handles one way in which a day may match.
            self._ways = [croniter.croniter(way, BEGINNING, day_or=False) for way in self._for_croniter()]
        except (croniter.CroniterError, ValueError) as error:
            raise invalid(expression, str(error)) from None
        if self._next_wall(BEGINNING) is None:
            raise invalid(expression, _("there is no such day"))

    @property
    def follows_clock(self) -> bool:
        """Whether it fires every time the clock shows a matching time."""
        return self.fields[0].startswith("*") or self.fields[1].startswith("*")

    @property
    def needs_both_days(self) -> bool:
        """Whether a day has to match both day fields, not just one of them."""
        return self.fields[2].startswith("*") or self.fields[4].startswith("*")

    def _for_croniter(self) -> Iterator[str]:
        """Yield expressions that together mean this one, in numbers, on which croniter and cron agree."""
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
        """Return the first time after this one, both in UTC; None if there is none within fifty years."""
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
        """Walk through the periods between clock changes."""
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
        """Return the first matching time after another one, on a clock that never changes."""
        with self._lock:
            found = [next_ for way in self._ways if (next_ := _next(way, wall)) is not None]
        return min(found, default=None)


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name in the IANA database. Raise InvalidSchedule if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        raise InvalidSchedule(
            _("There is no time zone “%(name)s”. Give a name such as Europe/Rome.") % {"name": name}, "timezone"
        ) from None


def split(expression: str) -> list[str]:
    """Return the five fields in lower case. Raise InvalidSchedule for a field that cron does not know."""
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
                expression, _("“%(value)s” is not a valid %(field)s") % {"value": value, "field": field.title}
            ) from None
    return fields


def invalid(expression: str, cause: str) -> InvalidSchedule:
    message = _("“%(expression)s” is not a cron expression: %(cause)s.")
    return InvalidSchedule(message % {"expression": expression, "cause": cause}, "expression")


def _ways(field: Field, text: str) -> Iterator[str]:
    """Yield the values of a field: all numbers in one, then each special day. Raise ValueError."""
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


def _croniter() -> Any:
    """Return the package, which is imported for the first expression: most processes of a project parse none."""
    return import_module("croniter")


def _next(way: Any, wall: datetime) -> datetime | None:
    way.set_current(wall)
    try:
        found: datetime = way.get_next(datetime)
    except _croniter().CroniterBadDateError:
        return None
    return found


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _naive(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first time at which clocks show this local time, or right after the gap that skips it."""
    moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _naive(moment, zone) == wall:
        return moment
    # In a gap, fold 0 uses the offset before it, and so ends up after it; fold 1 ends up before it.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    change = _first_change(before, moment, zone)
    return moment if change is None else change


def _first_change(start: datetime, end: datetime, zone: ZoneInfo) -> datetime | None:
    """Return the first time after start and up to end at which the offset changes."""
    offset = _offset(start, zone)
    known = start
    while known < end:
        probe = min(known + STEP, end)
        if _offset(probe, zone) != offset:
            return _bisect(known, probe, zone)
        known = probe
    return None


def _bisect(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the whole second at which the offset changes from that at `before`."""
    offset = _offset(before, zone)
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(datetime.fromtimestamp(middle, UTC), zone) == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)
