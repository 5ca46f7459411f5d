"""When a schedule fires: a cron expression, an interval, one moment, or what the sun does."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import ClassVar

from django.conf import settings
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from ..exceptions import InvalidSchedule
from ..lifecycle import ScheduleKind
from .explaining import explained, instead_of_crontab
from .expressions import CronExpression, read_zone
from .sun import following_event, read_event

__all__ = ["Cron", "Every", "Once", "Solar", "Timing", "cron", "every", "load_timing", "once", "solar"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=36_500)


@dataclass(frozen=True)
class Timing:
    """One way to say when. Raise InvalidSchedule for what makes no sense, as soon as it is made.

    tz: the name of a time zone; None for settings.TIME_ZONE, which is read later: there may be no settings yet.
    """

    kind: ClassVar[ScheduleKind]
    expression: str
    tz: str | None = None

    @property
    def timezone(self) -> str:
        """The name of the time zone."""
        return settings.TIME_ZONE if self.tz is None else self.tz

    def settled(self) -> "Timing":
        """Return the timing with a time zone of its own, as it is stored."""
        return load_timing(self.kind.value, self.expression, self.timezone)

    def _check_zone(self) -> None:
        if self.tz is not None:
            read_zone(self.tz)

    def following(self, after: datetime, anchor: datetime | None = None) -> datetime | None:
        """Return the first occurrence after a moment, both aware and in UTC; None if there is none.

        anchor: the start of the schedule, from which intervals are counted.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Cron(Timing):
    kind = ScheduleKind.CRON

    def __post_init__(self) -> None:
        object.__setattr__(self, "expression", " ".join(_text(self.expression).split()))
        if self.tz is None:
            CronExpression(self.expression)
        else:
            self.parsed  # noqa: B018

    @cached_property
    def parsed(self) -> CronExpression:
        return CronExpression(self.expression, self.timezone)

    def following(self, after: datetime, anchor: datetime | None = None) -> datetime | None:
        return self.parsed.following(after)


@dataclass(frozen=True)
class Every(Timing):
    """Counted from the start of the schedule, else from 1970: so it does not drift, and all workers agree."""

    kind = ScheduleKind.INTERVAL

    def __post_init__(self) -> None:
        self._check_zone()
        whole = int(self.seconds)
        object.__setattr__(self, "expression", str(whole if whole == self.seconds else self.seconds))

    @cached_property
    def seconds(self) -> float:
        try:
            seconds = float(self.expression)
        except (TypeError, ValueError):
            seconds = 0.0
        if not SHORTEST.total_seconds() <= seconds <= LONGEST.total_seconds():
            message = _("An interval must be a number of seconds from 1 to %(most)s, not “%(given)s”.")
            most = f"{LONGEST.total_seconds():.0f}"
            raise InvalidSchedule(message % {"most": most, "given": self.expression}, "expression")
        return seconds

    def following(self, after: datetime, anchor: datetime | None = None) -> datetime | None:
        origin, step = anchor or EPOCH, timedelta(seconds=self.seconds)
        return origin + step * max(0, (after - origin) // step + 1)


@dataclass(frozen=True)
class Once(Timing):
    kind = ScheduleKind.CLOCKED

    def __post_init__(self) -> None:
        found = self._parsed()
        if self.tz is not None:
            object.__setattr__(self, "expression", self.moment.astimezone(read_zone(self.tz)).isoformat())
        else:
            object.__setattr__(self, "expression", found.isoformat())

    @cached_property
    def moment(self) -> datetime:
        found = self._parsed()
        return (found if found.tzinfo else found.replace(tzinfo=read_zone(self.timezone))).astimezone(UTC)

    def _parsed(self) -> datetime:
        try:
            found = parse_datetime(_text(self.expression).strip())
        except ValueError:
            found = None
        if found is None:
            message = _("“%(given)s” is not a moment such as 2030-01-31T09:00.")
            raise InvalidSchedule(message % {"given": self.expression}, "expression")
        return found

    def following(self, after: datetime, anchor: datetime | None = None) -> datetime | None:
        return self.moment if self.moment > after else None


@dataclass(frozen=True)
class Solar(Timing):
    kind = ScheduleKind.SOLAR

    def __post_init__(self) -> None:
        self._check_zone()
        object.__setattr__(self, "expression", " ".join(_text(self.expression).split()))
        read_event(self.expression)

    def following(self, after: datetime, anchor: datetime | None = None) -> datetime | None:
        return following_event(read_event(self.expression), after)


KINDS: dict[str, type[Timing]] = {kind.kind.value: kind for kind in (Cron, Every, Once, Solar)}


@lru_cache(maxsize=4_096)
def load_timing(kind: str, expression: str, timezone: str) -> Timing:
    """Return what the columns of a schedule say. Raise InvalidSchedule."""
    if kind not in KINDS:
        known = ", ".join(KINDS)
        message = _("There is no kind of schedule “%(given)s”, only %(known)s.")
        raise InvalidSchedule(message % {"given": kind, "known": known}, "kind")
    return KINDS[kind](expression, timezone)


@explained(instead_of_crontab)
def cron(expression: str, *, tz: str | None = None) -> Cron:
    """Fire by a cron expression of five fields, or @hourly and the like, on the clocks of a time zone.

    tz: its name, such as "Europe/Rome"; settings.TIME_ZONE if there is none. Raise InvalidSchedule for what cron does
    not know.
    """
    return Cron(expression, tz)


@explained(lambda given: "Name the unit: every(minutes=5), every(hours=1), every(seconds=30).")
def every(
    *,
    weeks: float = 0,
    days: float = 0,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    tz: str | None = None,
) -> Every:
    """Fire at each multiple of an interval, counted from the schedule's start_at, else from 1970 in UTC.

    tz: in which its occurrences are shown; settings.TIME_ZONE if there is none.
    """
    interval = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return Every(str(interval.total_seconds()), tz)


def once(moment: datetime | str, *, tz: str | None = None) -> Once:
    """Fire at one moment: aware, or of a time zone.

    tz: its name; settings.TIME_ZONE if there is none.
    """
    return Once(moment.isoformat() if isinstance(moment, datetime) else moment, tz)


def solar(event: str, *, latitude: float, longitude: float, tz: str | None = None) -> Solar:
    """Fire at dawn, sunrise, noon, sunset or dusk of a place, in degrees north and east; needs astral.

    tz: in which its occurrences are shown; settings.TIME_ZONE if there is none.
    """
    return Solar(f"{event} {latitude} {longitude}", tz)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidSchedule(_("An expression must be text, not %(given)r.") % {"given": value}, "expression")
    return value
