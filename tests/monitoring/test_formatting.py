from datetime import datetime

import pytest
from django.conf import settings
from django.utils import timezone

from django_tasks_q.monitoring.formatting import duration_text, moment_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.0123, "12 ms"),
        (8.25, "8.25 s"),
        (15, "15 s"),
        (59.9, "1 min"),
        (60, "1 min"),
        (725.4, "12 min 5 s"),
        (3_600, "1 h"),
        (7_260, "2 h 1 min"),
        (90_000, "1 d 1 h"),
        (1e9, "11,574 d 1 h"),
    ],
)
def test_times_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_moments_are_in_the_projects_time_zone() -> None:
    assert settings.TIME_ZONE == "Europe/Berlin"
    aware = datetime.fromisoformat("2026-07-01T12:00:00.123456+00:00")
    assert moment_text(aware) == "2026-07-01 14:00:00+02:00"
    assert moment_text(timezone.make_naive(aware, timezone.get_default_timezone())) == "2026-07-01 14:00:00"
