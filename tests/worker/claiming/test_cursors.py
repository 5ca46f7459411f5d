"""Claims that begin behind what was claimed already, while a look from the beginning is slow."""

import math
from typing import Any

import pytest

from django_tasks_q.brokers import get_broker
from django_tasks_q.worker.claiming import cursors as module
from django_tasks_q.worker.claiming.cursors import MEMORY, MOST_PRIORITIES, ClaimCursors
from django_tasks_q.worker.claiming.queues import QueueSelector
from tests.brokers.conftest import make_spec

from ..jobs import make_job

QUICK, SLOW = 0.001, 1.0


class Clock:
    """A clock that goes on when it is told to: a machine may stand still between two claims."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def positions() -> ClaimCursors:
    return ClaimCursors()


def claim(selector: QueueSelector, most: int) -> list[Any]:
    """Look for queues and claim up to so many jobs; return their ids."""
    return [job.id for job in selector.claim("w1", selector.look(now=True), most)]


def test_a_quick_claim_that_leaves_nothing_is_forgotten(positions: ClaimCursors) -> None:
    positions.note("a", [make_job()], QUICK, looked_back=True, is_full=False)
    assert (positions.after("a"), positions.look_back_at) == ((), math.inf)


def test_claims_go_on_where_the_last_one_ended_while_there_is_more(positions: ClaimCursors) -> None:
    first, second, third = (make_job() for _ in range(3))
    positions.note("a", [first], QUICK, looked_back=True, is_full=True)
    assert positions.after("a") == [(0, first.id)]
    positions.note("a", [second], QUICK, looked_back=False, is_full=True)
    assert positions.after("a") == [(0, second.id)]
    # Nobody has to be woken for a look back: it comes with the next claim.
    assert positions.look_back_at == math.inf
    positions.note("a", [third], QUICK, looked_back=False, is_full=False)
    assert positions.after("a") == ()


def test_a_slow_claim_lets_the_next_ones_begin_behind_it(positions: ClaimCursors) -> None:
    jobs = [make_job(priority=priority) for priority in (5, 5, 0, -3)]
    positions.note("a", jobs, SLOW, looked_back=True, is_full=False)
    assert positions.after("a") == [(5, jobs[1].id), (0, jobs[2].id), (-3, jobs[3].id)]
    assert positions.after("b") == ()

    later = make_job(priority=0)
    positions.note("a", [later], QUICK, looked_back=False, is_full=False)
    assert positions.after("a") == [(5, jobs[1].id), (0, later.id), (-3, jobs[3].id)]


def test_a_claim_of_many_may_take_longer(positions: ClaimCursors) -> None:
    positions.note("a", [make_job() for _ in range(500)], 0.015, looked_back=True, is_full=False)
    assert positions.after("a") == ()
    positions.note("a", [make_job()], 0.015, looked_back=True, is_full=False)
    assert positions.after("a")


def test_a_claim_looks_back_now_and_then(positions: ClaimCursors, clock: Clock) -> None:
    positions.note("a", [make_job()], SLOW, looked_back=True, is_full=False)
    clock.now += MEMORY - 0.1
    assert positions.after("a")
    clock.now += 0.1
    assert not positions.after("a")
    assert positions.look_back_at <= clock.now
    positions.note("a", [make_job()], QUICK, looked_back=True, is_full=False)
    assert positions.look_back_at == math.inf


def test_they_tell_whether_a_claim_may_have_left_something_out(positions: ClaimCursors) -> None:
    assert not positions.leave_out()
    positions.note("a", [make_job()], SLOW, looked_back=True, is_full=False)
    positions.note("b", [make_job()], SLOW, looked_back=True, is_full=False)
    assert not positions.leave_out()
    positions.note("a", [], QUICK, looked_back=False, is_full=False)
    assert positions.leave_out()
    positions.note("a", [], SLOW, looked_back=True, is_full=False)
    assert not positions.leave_out()


def test_what_would_not_help_is_not_kept(positions: ClaimCursors) -> None:
    positions.note("a", [], SLOW, looked_back=True, is_full=False)
    positions.note(
        "b",
        [make_job(priority=number) for number in range(MOST_PRIORITIES + 1)],
        SLOW,
        looked_back=True,
        is_full=False,
    )
    assert positions.slow_queues == []
    positions.note("c", [make_job()], SLOW, looked_back=True, is_full=False)
    positions.keep_only(["a"])
    assert positions.slow_queues == []


@pytest.mark.django_db
@pytest.mark.only_on("postgresql")
def test_what_came_late_with_an_earlier_id_is_found_in_time(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    """A transaction that took its time commits a job whose id is older than those that were claimed meanwhile."""
    monkeypatch.setattr(module, "SLOW", 0.0)
    monkeypatch.setattr(module, "SLOW_FOR_EACH", 0.0)
    broker: Any = get_broker("default")
    late, *specs = [make_spec() for _ in range(4)]
    broker.enqueue(specs)
    selector = QueueSelector(broker, [], [])

    assert claim(selector, 2) == [spec.id for spec in specs[:2]]
    broker.enqueue([late])
    assert claim(selector, 10) == [specs[2].id]
    assert claim(selector, 10) == []
    # A slow look back is spared for a while.
    assert clock.now < selector.due_at < math.inf
    clock.now += MEMORY
    assert claim(selector, 10) == [late.id]


@pytest.mark.django_db
@pytest.mark.only_on("postgresql")
def test_what_came_late_is_found_when_there_is_no_more_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    # However busy the machine is.
    monkeypatch.setattr(module, "SLOW", 60.0)
    broker: Any = get_broker("default")
    late, *specs = [make_spec() for _ in range(5)]
    broker.enqueue(specs)
    selector = QueueSelector(broker, [], [])

    assert claim(selector, 2) == [spec.id for spec in specs[:2]]
    broker.enqueue([late])
    assert claim(selector, 10) == [specs[2].id, specs[3].id, late.id]
    assert claim(selector, 10) == []
