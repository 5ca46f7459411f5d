import math
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Job, Result
from django_tasks_q.monitoring import counts
from django_tasks_q.monitoring.counts import Count, Precision, count, count_up_to, estimate, result_counts

from .. import scenes
from ..waiting import wait_for

plans = pytest.mark.only_on("postgresql", "mysql")
ABOUT, AT_LEAST, EXACT = Precision.ABOUT, Precision.AT_LEAST, Precision.EXACT


@pytest.fixture
def small_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "BOUND", 5)


def analyze() -> None:
    """Let the planner look at the tables. MySQL commits at that: only for tests with transactions of their own."""
    with connection.cursor() as cursor:
        for model in (Job, Result):
            table = connection.ops.quote_name(model._meta.db_table)
            cursor.execute(f"ANALYZE {'TABLE ' if connection.vendor == 'mysql' else ''}{table}")


def analyzed(counted: Callable[[], Count], at_least: int) -> Count:
    """Return a count that is no less, after the planner has looked.

    InnoDB looks into a few pages only: those that another test has emptied are among them until it has cleaned up.
    """

    def look() -> Count | None:
        analyze()
        found = counted()
        return found if found.number >= at_least else None

    return wait_for(look, f"an estimate of at least {at_least}")


def at_most(number: int) -> float:
    """InnoDB counts rows too that were deleted and not yet cleaned away: there, nothing is too many."""
    return math.inf if connection.vendor == "mysql" else number


# Count


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Count(0), "0"),
        (Count(1_204), "1,204"),
        (Count(1_204_000, ABOUT), "~1,204,000"),
        (Count(10_000, AT_LEAST), "10,000+"),
    ],
)
def test_a_count_says_how_far_it_can_be_trusted(value: Count, text: str) -> None:
    assert str(value) == text
    assert value.is_exact == (value.precision == EXACT)


def test_a_count_is_true_where_there_may_be_something() -> None:
    assert not Count(0)
    assert all([Count(1), Count(0, AT_LEAST), Count(0, ABOUT)])


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [(EXACT, EXACT, EXACT), (EXACT, ABOUT, ABOUT), (ABOUT, AT_LEAST, AT_LEAST), (AT_LEAST, EXACT, AT_LEAST)],
)
def test_a_sum_is_as_rough_as_its_rougher_part(first: Precision, second: Precision, both: Precision) -> None:
    assert Count(2, first) + Count(3, second) == Count(5, both)


# Counting


@pytest.mark.django_db
def test_few_rows_are_counted_exactly(small_bound: None) -> None:
    scenes.jobs(5)
    assert count(Job.objects.all()) == count_up_to(Job.objects.all()) == Count(5)


@plans
@pytest.mark.django_db(transaction=True)
def test_many_rows_are_estimated(small_bound: None) -> None:
    scenes.jobs(60)
    scenes.jobs(3, queue_name="mail")
    many = Job.objects.filter(backend="default", status="READY", queue_name="default")
    counted = analyzed(lambda: count(many), 30)
    assert counted.precision == ABOUT
    assert counted.number <= at_most(120)
    assert count(Job.objects.filter(backend="default", status="READY", queue_name="mail")) == Count(3)


@pytest.mark.only_on("sqlite")
@pytest.mark.django_db
def test_without_a_planner_that_tells_there_is_a_lower_bound(small_bound: None) -> None:
    scenes.jobs(6)
    assert count(Job.objects.all()) == Count(5, AT_LEAST)
    assert estimate(Job.objects.all()) is None


@pytest.mark.django_db
def test_conditions_without_statistics_have_a_lower_bound(small_bound: None) -> None:
    scenes.jobs(6)
    assert count_up_to(Job.objects.filter(task_path="tests.tasks.noop")) == Count(5, AT_LEAST)


@plans
@pytest.mark.django_db
def test_no_estimate_is_less_than_what_was_counted(small_bound: None) -> None:
    # The planner has not looked: it knows of no row.
    scenes.jobs(50)
    assert count(Job.objects.all()).number >= 5


def test_estimates_have_four_digits() -> None:
    assert [counts._round(number) for number in (7, 12_345, 1_203_987)] == [7, 12_340, 1_204_000]


@pytest.mark.parametrize(
    "plan",
    [
        [{"Plan": {"Node Type": "Gather", "Plan Rows": 12, "Plans": [{"Plan Rows": 3}]}}],
        {"query_block": {"select_id": 1, "nested_loop": [{"table": {"rows": 12, "filtered": 100}}]}},
        {"query_block": {"table": {"rows_examined_per_scan": 40, "rows_produced_per_join": 12}}},
        {"query_plan": {"estimated_rows": 12.0, "inputs": []}},
    ],
    ids=["PostgreSQL", "MariaDB", "MySQL 8", "MySQL 9"],
)
def test_every_planners_answer_is_understood(plan: Any) -> None:
    assert next(counts._expected_rows(plan)) == 12


# Results


@pytest.mark.django_db
def test_results_are_counted_by_status() -> None:
    scenes.results(3, ResultStatus.SUCCESSFUL)
    scenes.results(2, ResultStatus.FAILED)
    assert result_counts() == {"SUCCESSFUL": Count(3), "FAILED": Count(2), "CANCELLED": Count(0)}


@pytest.mark.django_db(transaction=True)
def test_many_results_are_estimated_and_few_are_not(small_bound: None) -> None:
    scenes.results(200, ResultStatus.SUCCESSFUL)
    scenes.results(2, ResultStatus.FAILED)
    assert result_counts()["FAILED"] == Count(2)
    if connection.vendor == "sqlite":
        assert result_counts()["SUCCESSFUL"] == Count(5, AT_LEAST)
    else:
        counted = analyzed(lambda: result_counts()["SUCCESSFUL"], 150)
        assert counted.precision == ABOUT
        assert counted.number <= at_most(250)


@pytest.fixture
def two_backends(settings: Any) -> None:
    """Another backend on the same tables."""
    settings.TASKS = {"default": settings.TASKS["default"], "other": settings.TASKS["default"]}


@pytest.mark.django_db
def test_each_backend_counts_its_own(two_backends: None) -> None:
    scenes.results(3)
    scenes.results(2, backend="other")
    assert result_counts()["SUCCESSFUL"] == Count(3)
    assert result_counts("other")["SUCCESSFUL"] == Count(2)


@pytest.mark.django_db(transaction=True)
def test_each_backend_has_its_share_of_many(two_backends: None, small_bound: None) -> None:
    scenes.results(40, seconds_ago=10)
    scenes.results(3, backend="other")
    analyze()
    mine, other = result_counts()["SUCCESSFUL"], result_counts("other")["SUCCESSFUL"]
    assert (mine.number >= 3, other.number >= 3) == (True, True)
    assert not mine.is_exact
    assert not other.is_exact
