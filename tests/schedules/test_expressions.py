"""Cron expressions, on clocks that are changed. What is expected was worked out by hand, or by another program."""

import os
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError

from django_tasks_q.exceptions import InvalidSchedule
from django_tasks_q.schedules.expressions import CronExpression

# 5,000 take five minutes.
EXPRESSIONS = int(os.environ.get("TEST_CRON_EXPRESSIONS", "60"))
ZONES = (
    "Europe/Rome", "America/New_York", "Africa/Cairo", "America/Santiago", "Asia/Beirut", "Pacific/Chatham",
    "America/Havana", "Africa/Casablanca", "Antarctica/Troll", "Australia/Lord_Howe",
)  # fmt: skip
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
FROM, TO = datetime(2024, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fired(expression: str, zone: str, after: str, count: int) -> list[str]:
    """Return the wall-clock times of the next occurrences, with their offsets."""
    parsed, moment, found = CronExpression(expression, zone), datetime.fromisoformat(after).astimezone(UTC), []
    for _ in range(count):
        following = parsed.following(moment)
        assert following is not None
        moment = following
        found.append(moment.astimezone(ZoneInfo(zone)).strftime("%d %H:%M%z"))
    return found


def test_an_appointment_in_the_hour_that_is_left_out_is_kept_right_after_it() -> None:
    assert fired("30 2 * * *", "Europe/Rome", "2026-03-28T00:00+01:00", 3) == [
        "28 02:30+0100", "29 03:00+0200", "30 02:30+0200",
    ]  # fmt: skip
    assert fired("0,20,40 2 * * *", "Europe/Rome", "2026-03-29T00:00+01:00", 2) == ["29 03:00+0200", "30 02:00+0200"]
    assert fired("30 2,3 * * *", "Europe/Rome", "2026-03-29T00:00+01:00", 2) == ["29 03:00+0200", "29 03:30+0200"]
    # Where midnight is left out.
    assert fired("15 0 24 4 *", "Africa/Cairo", "2026-04-23T12:00+02:00", 1) == ["24 01:00+0300"]


def test_an_appointment_in_the_hour_that_is_repeated_is_kept_once() -> None:
    assert fired("30 2 * * *", "Europe/Rome", "2026-10-24T12:00+02:00", 2) == ["25 02:30+0200", "26 02:30+0100"]
    # Neither is it kept by one who begins in the second of the two hours.
    assert fired("30 2 * * *", "Europe/Rome", "2026-10-25T02:10+01:00", 1) == ["26 02:30+0100"]


def test_who_follows_the_clock_fires_in_every_real_hour() -> None:
    assert fired("0 * * * *", "Europe/Rome", "2026-03-29T00:30+01:00", 3) == [
        "29 01:00+0100", "29 03:00+0200", "29 04:00+0200",
    ]  # fmt: skip
    assert fired("0 * * * *", "Europe/Rome", "2026-10-25T01:30+02:00", 3) == [
        "25 02:00+0200", "25 02:00+0100", "25 03:00+0100",
    ]  # fmt: skip
    assert fired("*/30 2 * * *", "Europe/Rome", "2026-10-25T01:30+02:00", 5) == [
        "25 02:00+0200", "25 02:30+0200", "25 02:00+0100", "25 02:30+0100", "26 02:00+0100",
    ]  # fmt: skip
    assert fired("*/30 2 * * *", "Europe/Rome", "2026-03-28T12:00+01:00", 1) == ["30 02:00+0200"]
    # The clock is put forward by half an hour, to 02:30.
    assert fired("*/10 2 * * *", "Australia/Lord_Howe", "2026-10-04T01:00+10:30", 2) == [
        "04 02:30+1100", "04 02:40+1100",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("@hourly", "2026-01-01 01:00"),
        ("@daily", "2026-01-02 00:00"),
        ("@midnight", "2026-01-02 00:00"),
        ("@weekly", "2026-01-04 00:00"),
        ("@monthly", "2026-02-01 00:00"),
        ("@Yearly", "2027-01-01 00:00"),
        ("0 0 L * *", "2026-01-31 00:00"),
        ("0 0 l feb *", "2026-02-28 00:00"),
        ("0 0 * * 5L", "2026-01-30 00:00"),
        ("0 0 * * L5", "2026-01-30 00:00"),
        ("0 0 * * fri#2", "2026-01-09 00:00"),
        ("0 0 * * 7#1", "2026-01-04 00:00"),
        ("0 0 * jun-aug mon-fri", "2026-06-01 00:00"),
        ("5/20 10-14/2 * * *", "2026-01-01 10:05"),
        ("0 12 1 JAN *", "2026-01-01 12:00"),
        # Either of the days, where both are named; and both, where one begins with a star.
        ("0 0 13 * fri", "2026-01-02 00:00"),
        ("0 0 13 * fri#1", "2026-01-02 00:00"),
        ("0 0 */2 * 5", "2026-01-09 00:00"),
        ("0 0 29 2 *", "2028-02-29 00:00"),
    ],
)
def test_what_an_expression_means(expression: str, expected: str) -> None:
    assert CronExpression(expression).following(utc("2026-01-01T00:00")) == utc(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8",
        "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "@often", "r * * * *", "h(0-9) * * * *", "* * * * mon#6",
        "x * * * *", "* * * * l", "-1 * * * *", "1/-2 * * * *", "+1 * * * *", "1_0 * * * *", "²/5 * * * *",
        "0 0 31 2 *", "0 0 1w * *",
    ],
)  # fmt: skip
def test_what_cron_does_not_know_is_refused(expression: str) -> None:
    with pytest.raises(InvalidSchedule, match="is not a cron expression") as caught:
        CronExpression(expression)
    assert caught.value.field == "expression"


def test_the_field_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidSchedule, match="“0 25 [^”]+” is not a cron expression: “25” is not a valid hour."):
        CronExpression("0 25 * * *")


@pytest.mark.parametrize("zone", ["", "Europe/Atlantis", "../etc/passwd", "Europe", "\0"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidSchedule, match="There is no time zone") as caught:
        CronExpression("* * * * *", zone)
    assert caught.value.field == "timezone"


# against cronsim


def changes(zone: str) -> Iterator[datetime]:
    """Yield the hours at which clocks are changed."""
    moment = FROM
    while moment < TO:
        following = moment + HOUR
        if moment.astimezone(ZoneInfo(zone)).utcoffset() != following.astimezone(ZoneInfo(zone)).utcoffset():
            yield following
        moment = following


def never_comes(expression: str) -> bool:
    try:
        return next(CronSim(expression, FROM), None) is None
    except CronSimError:
        return True


class Inventor:
    """Makes up expressions, most of them about the hours in which clocks are changed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def expression(self) -> str:
        date = "*" if self.random.random() < 0.6 else self.field(1, 31, special=("L",))
        day = (
            "*" if self.random.random() < 0.6 else self.field(0, 7, DAYS, special=["5L", "0L", "3#2", "fri#1", "7#4"])
        )
        month = "*" if self.random.random() < 0.7 else self.field(1, 12, MONTHS)
        hour = self.field(0, 23, likely=[0, 1, 2, 3, 23])
        return f"{self.field(0, 59, likely=[0, 15, 30, 45])} {hour} {date} {month} {day}"

    def field(
        self,
        low: int,
        high: int,
        names: Sequence[str] = (),
        likely: Sequence[int] = (),
        special: Sequence[str] = (),
    ) -> str:
        if special and self.random.random() < 0.12:
            return self.random.choice(special)
        terms = 1 if self.random.random() < 0.7 else self.random.randint(2, 3)
        return ",".join(self.term(low, high, names, likely) for _ in range(terms))

    def term(self, low: int, high: int, names: Sequence[str], likely: Sequence[int]) -> str:
        def number() -> int:
            return (
                self.random.choice(likely) if likely and self.random.random() < 0.5 else self.random.randint(low, high)
            )

        def named(value: int) -> str:
            known = names and value - low < len(names) and self.random.random() < 0.4
            return names[value - low] if known else str(value)

        step = self.random.randint(1, 10)
        first, last = sorted((number(), number()))
        # One that begins and ends with the same value: cronsim takes it for one without end where there is a step.
        ranges = [f"{named(first)}-{named(last)}", f"{named(first)}-{named(last)}/{step}"] if first < last else []
        return self.random.choice(
            ["*", f"*/{self.random.randint(1, high)}", *[named(number())] * 3, f"{number()}/{step}", *ranges]
        )


def matches(parsed: CronSim, moment: datetime, zone: str) -> bool:
    """Return whether a clock shows at a moment what an expression says, by the sets that cronsim has made of it."""
    shown = moment.astimezone(ZoneInfo(zone))
    fields = shown.minute in parsed.minutes and shown.hour in parsed.hours and shown.month in parsed.months
    return fields and parsed.match_day(shown.date())


def minute_by_minute(parsed: CronSim, after: datetime, before: datetime, zone: str) -> list[datetime]:
    moment, found = after, []
    while (moment := moment + timedelta(minutes=1)) <= before:
        if matches(parsed, moment, zone):
            found.append(moment)
    return found


def sequence(parsed: CronExpression, after: datetime, before: datetime) -> list[datetime]:
    moment, found = parsed.following(after), []
    while moment is not None and moment <= before:
        found.append(moment)
        moment = parsed.following(moment)
    return found


def theirs(expression: str, after: datetime, before: datetime, zone: str) -> list[datetime]:
    found = []
    for moment in CronSim(expression, after.astimezone(ZoneInfo(zone))):
        if moment.astimezone(UTC) > before:
            break
        found.append(moment.astimezone(UTC))
    return found


@pytest.mark.timeout(180 + EXPRESSIONS / 5)
def test_around_changes_of_clocks_the_occurrences_are_those_of_debians_cron() -> None:
    """All of three years in ten zones.

    Expressions that follow the clock are compared with the clock, minute by minute: where half an hour is left out or
    repeated, or midnight is left out, cronsim fires at times that no clock shows, or not at some that it does.
    """
    inventor, compared = Inventor(seed=5), 0
    when = {zone: list(changes(zone)) for zone in ZONES}
    assert all(len(found) == 6 for found in when.values())
    while compared < EXPRESSIONS:
        expression = inventor.expression()
        if never_comes(expression):
            with pytest.raises(InvalidSchedule):
                CronExpression(expression)
            continue
        parsed = CronSim(expression, FROM)
        compared += 1
        for zone in ZONES:
            ours = CronExpression(expression, zone)
            for change in when[zone] if EXPRESSIONS > 1_000 else [inventor.random.choice(when[zone])]:
                after, before = change - 3 * HOUR, change + 5 * HOUR
                expected = (
                    minute_by_minute(parsed, after, before, zone)
                    if ours.follows_clock
                    else theirs(expression, after, before, zone)
                )
                assert sequence(ours, after, before) == expected, (expression, zone, change)


def test_far_from_changes_of_clocks_too() -> None:
    inventor = Inventor(seed=6)
    for _ in range(EXPRESSIONS):
        expression, zone = inventor.expression(), inventor.random.choice(ZONES[:5])
        start = FROM + timedelta(days=inventor.random.randint(0, 700), hours=inventor.random.randint(0, 23))
        if never_comes(expression):
            continue
        simulated = CronSim(expression, start.astimezone(ZoneInfo("UTC")))
        parsed, moment = CronExpression(expression, "UTC"), start
        for _ in range(20):
            following = parsed.following(moment)
            assert following == next(simulated, None), (expression, zone, moment)
            if following is None:
                break
            moment = following
