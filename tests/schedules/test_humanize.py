"""When a schedule fires, in words."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from django_tasks_q import cron, every, once, solar
from django_tasks_q.exceptions import InvalidSchedule
from django_tasks_q.schedules.humanize import describe
from django_tasks_q.schedules.timings import Timing


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (cron("0 3 * * *", tz="Europe/Rome"), "at 03:00, Europe/Rome"),
        (cron("30 8,17 * * mon-fri"), "at 08:30 and 17:30, on Monday to Friday, Europe/Berlin"),
        (cron("* * * * *"), "every minute, Europe/Berlin"),
        (cron("*/15 * * * *"), "every 15 minutes, Europe/Berlin"),
        (cron("5 * * * *"), "every hour at minute 5, Europe/Berlin"),
        (cron("*/10 9-17 * * *"), "every 10 minutes of hour 9 to 17, Europe/Berlin"),
        (cron("0 0 l * *"), "at 00:00, on the last day of the month, Europe/Berlin"),
        (cron("0 0 13 * fri"), "at 00:00, on day 13 and on Friday, Europe/Berlin"),
        (cron("0 0 */2 * 5l"), "at 00:00, every 2 days of the month, if it is on the last Friday, Europe/Berlin"),
        (cron("0 0 * * 7#2"), "at 00:00, on the second Sunday, Europe/Berlin"),
        (cron("@yearly"), "at 00:00, on day 1, in January, Europe/Berlin"),
        (every(minutes=5), "every 5 minutes"),
        (every(hours=1), "every hour"),
        (every(seconds=1.5), "every 1.5 seconds"),
        (every(weeks=2), "every 2 weeks"),
        (once("2030-01-31T09:00", tz="Asia/Tokyo"), "once, on Jan. 31, 2030, 9 a.m., Asia/Tokyo"),
        (solar("sunset", latitude=41.9, longitude=12.5), "at sunset, at 41.9, 12.5"),
    ],
    ids=lambda value: value.expression if isinstance(value, Timing) else "",
)
def test_in_words(timing: Timing, words: str) -> None:
    with translation.override("en-us"):
        assert describe(timing) == words


def test_the_sun_sets_once_a_day() -> None:
    timing, moment = solar("sunset", latitude=41.9, longitude=12.5), datetime(2026, 6, 20, tzinfo=UTC)
    for _ in range(5):
        following = timing.following(moment)
        assert following is not None
        # In Rome, at about 20:50 of summer time.
        assert (following.hour, following.minute // 10) == (18, 4)
        assert timedelta(hours=18) < following - moment < timedelta(hours=25)
        moment = following


def test_where_the_sun_does_not_rise_for_months_the_next_sunrise_is_far() -> None:
    following = solar("sunrise", latitude=78.2, longitude=15.6).following(datetime(2026, 11, 21, tzinfo=UTC))
    assert following is not None
    assert following.month == 2


@pytest.mark.parametrize("event", ["eclipse", ""])
def test_other_events_are_refused(event: str) -> None:
    with pytest.raises(InvalidSchedule):
        solar(event, latitude=0, longitude=0)
