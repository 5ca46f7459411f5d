from datetime import timedelta
from typing import Any

import pytest

from django_tasks_q.control import retention
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Result

from .. import scenes

pytestmark = pytest.mark.django_db
DAY = 86_400.0


def statuses() -> list[str]:
    return sorted(Result.objects.values_list("status", flat=True))


def give_options(settings: Any, **options: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": options}}


def test_the_options_say_how_long_each_status_is_kept(settings: Any) -> None:
    give_options(settings, result_ttl=timedelta(days=1), failure_ttl=timedelta(days=3))
    for status in ResultStatus.values:
        for days in (0.5, 2.0, 4.0):
            scenes.results(status=status, seconds_ago=days * DAY)
    assert retention.prune() == 5
    assert statuses() == ["CANCELLED", "FAILED", "FAILED", "SUCCESSFUL"]


def test_none_keeps_for_ever(settings: Any) -> None:
    give_options(settings, result_ttl=None, failure_ttl=1)
    for status in ResultStatus.values:
        scenes.results(status=status, seconds_ago=1_000 * DAY)
    assert retention.prune() == 1
    assert statuses() == ["CANCELLED", "SUCCESSFUL"]


def test_an_age_holds_for_every_status_that_is_asked_for() -> None:
    for status in ResultStatus.values:
        scenes.results(status=status, seconds_ago=100)
        scenes.results(status=status, seconds_ago=10)
    assert retention.prune(older_than=50, statuses=["FAILED", "CANCELLED"]) == 2
    assert retention.prune(older_than=50) == 1
    assert retention.prune(older_than=50) == 0
    assert len(statuses()) == 3


def test_prune_goes_on_until_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    scenes.results(6, seconds_ago=100)
    scenes.results(1)
    assert retention.prune(older_than=50) == 6
    assert Result.objects.count() == 1


def test_an_unknown_status_is_refused() -> None:
    with pytest.raises(ValueError, match="READY"):
        retention.prune(older_than=0, statuses=["READY"])
