"""What the counted minutes say."""

from itertools import pairwise
from typing import Any

import pytest

from django_tasks_q.models.statistics import BUCKETS, HOUR
from django_tasks_q.monitoring.statistics import (
    Span,
    finished_by_queue,
    quantile,
    series,
    task_figures,
    total,
    usual_failure_rate,
)

from .. import scenes

pytestmark = pytest.mark.django_db


def histogram(**buckets: int) -> list[int]:
    return [buckets.get(f"b{bucket}", 0) for bucket in range(BUCKETS)]


@pytest.mark.parametrize(
    ("numbers", "share", "seconds"),
    [
        ({}, 0.5, None),
        # All between half a second and a second.
        ({"b10": 4}, 0.5, 2**-0.5),
        ({"b10": 4}, 1.0, 1.0),
        ({"b10": 1, "b11": 1}, 0.5, 1.0),
        ({"b10": 1, "b12": 1}, 0.51, pytest.approx(2.0, rel=0.05)),
        ({"b0": 10}, 0.5, 2**-11),
        ({"b0": 99, "b20": 1}, 0.95, pytest.approx(0.001, rel=0.1)),
        ({"b23": 1}, 0.5, 4096.0),
    ],
)
def test_a_share_of_a_histogram_lies_under_so_many_seconds(
    numbers: dict[str, int], share: float, seconds: Any
) -> None:
    assert quantile(histogram(**numbers), share) == seconds


@pytest.mark.parametrize("span", Span)
def test_a_series_has_every_step_of_its_span(span: Span) -> None:
    points = series(span)
    assert len(points) * span.step == span.seconds
    assert {(after.at - before.at).total_seconds() for before, after in pairwise(points)} == {span.step}
    assert total(points).finished == 0
    assert total(points).failure_rate is None
    assert total(points).run_time(0.5) is None


def test_what_happened_is_in_its_minute(broker: Any) -> None:
    now = broker.dialect.now()
    scenes.count(3, now=now, successful=8, failed=2, retried=1, lost=1, run_seconds=1.5, run_7=11)
    scenes.count(3, now=now, task_path="other", cancelled=1, wait_4=2)
    scenes.count(70, successful=100)
    points = series(Span.HOUR)
    [busy] = [point for point in points if point.figures.finished]
    # A minute may have begun since.
    assert (points[-1].at - busy.at).total_seconds() in (180, 240)
    assert (busy.figures.successful, busy.figures.failed, busy.figures.retried, busy.figures.lost) == (8, 2, 1, 1)
    assert (busy.figures.finished, busy.figures.failure_rate) == (11, pytest.approx(2 / 11))
    assert 0.064 / 1.024 <= (busy.figures.run_time(0.5) or 0) <= 0.128 / 1.024 * 1.1
    assert total(series(Span.DAY)).successful in (8, 108)
    assert total(series(Span.WEEK)).successful == 108


def test_hours_and_minutes_make_one_series() -> None:
    scenes.count(5, successful=1)
    hour = scenes.count(3 * 24 * 60, task_path="t")
    type(hour).objects.filter(task_path="t").update(period=HOUR, successful=60)
    assert total(series(Span.WEEK)).successful == 61
    assert [task.figures.successful for task in task_figures(Span.WEEK)] == [60, 1]
    assert [task.figures.successful for task in task_figures(Span.HOUR)] == [1]


def test_tasks_and_queues_are_summed_up() -> None:
    for minutes in (2, 4):
        scenes.count(minutes, successful=2, run_12=2)
        scenes.count(minutes, queue_name="mail", failed=1, run_12=1)
        scenes.count(minutes, task_path="slow", queue_name="mail", successful=1, run_20=1)
    noop, slow = sorted(task_figures(Span.HOUR), key=lambda task: task.task_path, reverse=True)
    assert (noop.task_path, noop.figures.finished, noop.figures.failed) == ("tests.tasks.noop", 6, 2)
    assert (slow.figures.run_time(0.5) or 0) > 500
    assert finished_by_queue(600) == {"default": 4, "mail": 4}
    assert finished_by_queue(230) == {"default": 2, "mail": 2}


def test_the_usual_share_of_failures_is_that_of_the_day_before() -> None:
    now = series(Span.HOUR)[-1].at
    assert usual_failure_rate(now) == 0
    scenes.count(60, successful=9, failed=1)
    scenes.count(26 * 60, failed=100)
    assert usual_failure_rate(now) == pytest.approx(0.1)


def test_backends_are_counted_apart(settings: Any) -> None:
    settings.TASKS = dict.fromkeys(("default", "other"), settings.TASKS["default"])
    scenes.count(2, successful=1)
    scenes.count(2, backend="other", successful=5)
    assert total(series(Span.HOUR, "other")).successful == 5
    assert total(series(Span.HOUR)).successful == 1
