"""Claims that begin behind what was claimed already, while a look from the beginning is slow."""

from typing import Any

import pytest

from django_tasks_q.brokers import get_broker
from django_tasks_q.worker import positions as module
from django_tasks_q.worker.positions import MOST_PRIORITIES, Positions
from django_tasks_q.worker.queues import QueueSelector
from tests.brokers.conftest import make_spec
from tests.waiting import wait_for

from .jobs import make_job

QUICK, SLOW = 0.001, 1.0


@pytest.fixture
def positions() -> Positions:
    return Positions()


def test_quick_claims_always_begin_at_the_beginning(positions: Positions) -> None:
    positions.note("a", [make_job()], QUICK, looked_back=True)
    assert (positions.after("a"), positions.seconds_until_look_back()) == ((), None)


def test_a_slow_claim_lets_the_next_ones_begin_behind_it(positions: Positions) -> None:
    jobs = [make_job(priority=priority) for priority in (5, 5, 0, -3)]
    positions.note("a", jobs, SLOW, looked_back=True)
    assert positions.after("a") == [(5, jobs[1].id), (0, jobs[2].id), (-3, jobs[3].id)]
    assert positions.after("b") == ()

    later = make_job(priority=0)
    positions.note("a", [later], QUICK, looked_back=False)
    assert positions.after("a") == [(5, jobs[1].id), (0, later.id), (-3, jobs[3].id)]


def test_a_claim_of_many_may_take_longer(positions: Positions) -> None:
    positions.note("a", [make_job() for _ in range(500)], 0.02, looked_back=True)
    assert positions.after("a") == ()
    positions.note("a", [make_job()], 0.02, looked_back=True)
    assert positions.after("a")


def test_a_claim_looks_back_now_and_then(positions: Positions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMORY", 0.05)
    positions.note("a", [make_job()], SLOW, looked_back=True)
    wait_for(lambda: not positions.after("a"), "the position to be forgotten")
    left = positions.seconds_until_look_back()
    assert left is not None
    assert left <= 0
    positions.note("a", [make_job()], QUICK, looked_back=True)
    assert positions.seconds_until_look_back() is None


def test_what_would_not_help_is_not_kept(positions: Positions) -> None:
    positions.note("a", [], SLOW, looked_back=True)
    positions.note("b", [make_job(priority=number) for number in range(MOST_PRIORITIES + 1)], SLOW, looked_back=True)
    assert positions.queue_names == []
    positions.note("c", [make_job()], SLOW, looked_back=True)
    positions.keep_only(["a"])
    assert positions.queue_names == []


@pytest.mark.django_db
@pytest.mark.only_on("postgresql")
def test_what_came_late_with_an_earlier_id_is_found_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that took its time commits a job whose id is older than those that were claimed meanwhile."""
    monkeypatch.setattr(module, "SLOW", 0.0)
    monkeypatch.setattr(module, "SLOW_FOR_EACH", 0.0)
    monkeypatch.setattr(module, "MEMORY", 0.5)
    broker: Any = get_broker("default")
    late, *specs = [make_spec() for _ in range(4)]
    broker.enqueue(specs)
    selector = QueueSelector(broker, [], [])

    def claim(most: int) -> list[Any]:
        return [job.id for job in selector.claim("w1", selector.look(now=True), most)]

    assert claim(2) == [spec.id for spec in specs[:2]]
    broker.enqueue([late])
    assert claim(10) == [specs[2].id]
    assert claim(10) == []
    wait_for(lambda: (selector.seconds_until_due() or 0.0) <= 0, "the selector to want to look back")
    assert claim(10) == [late.id]
