from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation
from django.utils.dateformat import format as format_date

from django_tasks_q.admin import display


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "—"),
        (0, "<1 ms"),
        (-0.2, "<1 ms"),
        (0.0009, "<1 ms"),
        (0.0123, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (1.24, "1.24 s"),
        (59.99, "60 s"),
        (59.999, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3_599.6, "1 h 0 min"),
        (11_040, "3 h 4 min"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations(seconds: Any, shown: str) -> None:
    assert display.duration(seconds) == shown


class Frozen(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.fromtimestamp(1_795_000_000, tz)


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=0), ">now<"),
        (timedelta(seconds=12.5), ">12 s ago<"),
        (timedelta(minutes=3, seconds=5), ">3 min ago<"),
        (timedelta(hours=47, seconds=5), ">47 h ago<"),
        (timedelta(days=9, seconds=5), ">9 d ago<"),
        (timedelta(minutes=-5, seconds=-5), ">in 5 min<"),
    ],
)
def test_moments(ago: timedelta, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "datetime", Frozen)
    assert shown in display.moment(Frozen.now(UTC) - ago)
    assert shown in display.moment(Frozen.now() - ago)


def test_a_moment_that_never_was() -> None:
    assert display.moment(None) == "—"


def test_the_exact_moment_has_its_zone(settings: Any) -> None:
    with timezone.override("Europe/Berlin"):
        shown = display.moment(datetime.fromisoformat("2026-07-01T10:00:00.123456+00:00"))
    assert 'title="2026-07-01 12:00:00.123 CEST"' in shown
    assert 'datetime="2026-07-01T12:00:00.123456+02:00"' in shown


def test_short_json_is_on_one_line_and_long_on_several() -> None:
    assert display.json_block({"a": "é"}) == '<pre class="tasksq-block">{&quot;a&quot;: &quot;é&quot;}</pre>'
    assert display.json_block(["x" * 60] * 2).count("\n") == 3


def test_a_long_text_is_shortened_and_the_whole_is_in_the_title() -> None:
    shown = display.shortened("<" * 101)
    assert f'title="{"&lt;" * 101}"' in shown
    assert "…" in shown
    assert display.shortened("<b>") == "<b>"


def test_a_link_without_a_page_is_text() -> None:
    assert display.link(None, "<b>") == "<b>"
    assert display.link("/x?a=1&b=2", "<b>") == '<a href="/x?a=1&amp;b=2">&lt;b&gt;</a>'


def test_numbers_are_as_the_language_writes_them() -> None:
    assert (display.number(12_345), display.number(0.25), display.percent(0.333)) == ("12,345", "0.25", "33.3%")
    with translation.override("de"):
        assert (display.number(12_345), display.number(0.25), display.percent(0.333)) == ("12.345", "0,25", "33,3 %")
        assert display.duration(1.24) == "1,24 s"


def test_no_text_of_ours_takes_the_place_of_djangos() -> None:
    with translation.override("de"):
        assert format_date(datetime(2026, 11, 22), "D") == "So"
