import pytest

from django_tasks_q.brokers.values import ClaimedJob
from django_tasks_q.worker.claiming import buffer as module
from django_tasks_q.worker.claiming.buffer import AHEAD, LARGEST_CLAIM, LARGEST_PAYLOAD, LONGEST_STAY, Buffer, RunTimes

from ..jobs import make_job

# Bytes: more than any of the jobs has.
LARGE = 1_000_000


@pytest.fixture
def times() -> RunTimes:
    return RunTimes()


@pytest.fixture
def buffer(times: RunTimes) -> Buffer:
    return Buffer(times)


def learn(times: RunTimes, seconds: float, task_path: str = "tests.tasks.noop") -> None:
    for _ in range(100):
        times.note(task_path, seconds)


def jobs(count: int) -> list[ClaimedJob]:
    return [make_job() for _ in range(count)]


def test_a_task_that_was_never_seen_counts_as_long(times: RunTimes, buffer: Buffer) -> None:
    assert times.estimate("tests.tasks.noop") == AHEAD
    assert buffer.demand(4 * AHEAD, 4) == 4


def test_estimates_follow_what_is_measured(times: RunTimes) -> None:
    learn(times, 0.001)
    assert times.estimate("tests.tasks.noop") == pytest.approx(0.001)
    assert times.estimate("tests.tasks.other") == AHEAD
    learn(times, 0.02)
    assert times.estimate("tests.tasks.noop") == pytest.approx(0.02, rel=0.01)
    # One long run does not count for hours, nor a clock that was set back for less than nothing.
    times.note("tests.tasks.noop", 3_600)
    assert times.estimate("tests.tasks.noop") < AHEAD
    times.note("tests.tasks.noop", -5)
    assert times.estimate("tests.tasks.noop") >= 0


def test_short_jobs_are_claimed_in_batches(times: RunTimes, buffer: Buffer) -> None:
    learn(times, 0.001)
    assert buffer.demand(0.2, 2) == pytest.approx(200, abs=2)
    assert buffer.demand(0.1, 0) == pytest.approx(100, abs=2)
    assert buffer.demand(-0.1, 0) == 0
    buffer.add(jobs(50))
    assert buffer.demand(0.1, 0) == pytest.approx(50, abs=2)
    buffer.take_all()
    learn(times, 0)
    assert buffer.demand(0.2, 2) == LARGEST_CLAIM


def test_a_free_child_is_always_worth_a_job(times: RunTimes, buffer: Buffer) -> None:
    """Where the others have more than enough to do."""
    assert buffer.demand(-1, 1) == 1
    buffer.add(jobs(1))
    assert buffer.demand(-1, 1) == 0
    assert buffer.demand(0, 0) == 0


def test_jobs_leave_in_order(times: RunTimes, buffer: Buffer) -> None:
    first, second = jobs(3), jobs(2)
    buffer.add(second)
    # What a child gives back is older than what waits.
    buffer.put_back(first)
    assert list(buffer.jobs()) == first + second
    learn(times, 0.04)
    assert buffer.take(0.1, 10, LARGE) == first
    assert buffer.take(0, 10, LARGE) == second[:1]
    assert buffer.take(-1, 0, LARGE) == []
    assert buffer.take_all() == second[1:]
    assert len(buffer) == 0


def test_what_stays_for_too_long_goes_back(buffer: Buffer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    old, young = jobs(2), jobs(2)
    buffer.add(old)
    now[0] += LONGEST_STAY * 0.6
    buffer.add(young)
    assert buffer.take_stale() == []
    now[0] += LONGEST_STAY * 0.6
    assert buffer.take_stale() == old
    assert list(buffer.jobs()) == young


def test_what_belongs_to_others_is_forgotten(times: RunTimes, buffer: Buffer) -> None:
    learn(times, AHEAD / 2)
    mine, theirs, also_mine = jobs(3)
    buffer.add([mine, theirs, also_mine])
    buffer.keep_only({mine.id, also_mine.id})
    assert list(buffer.jobs()) == [mine, also_mine]
    assert buffer.demand(2 * AHEAD, 0) == 2


def test_a_child_that_is_busy_gets_nothing_that_is_too_large(times: RunTimes, buffer: Buffer) -> None:
    learn(times, 0.001)
    large, small = make_job(args='["' + "x" * 5_000 + '"]'), make_job()
    buffer.add([large, small])
    assert buffer.take_ahead(0.1, 10, 4_000) == []
    # One that has nothing else to do gets it, and what is small enough behind it.
    assert buffer.take(0.1, 10, 4_000) == [large, small]
    assert (len(buffer), buffer.backlog.size) == (0, 0)


def test_what_was_displaced_comes_alone(times: RunTimes, buffer: Buffer) -> None:
    learn(times, 0.001)
    first, displaced, last = make_job(), make_job(displaced=1), make_job()
    buffer.add([first, displaced, last])
    assert buffer.take(0.1, 10, LARGE) == [first]
    assert buffer.take_ahead(0.1, 10, LARGE) == []
    assert buffer.take(0.1, 10, LARGE) == [displaced]
    assert buffer.take(0.1, 10, LARGE) == [last]


def test_large_payloads_are_claimed_by_their_bytes(times: RunTimes, buffer: Buffer) -> None:
    learn(times, 0)
    text = '["' + "x" * (LARGEST_PAYLOAD // 8) + '"]'
    buffer.add([make_job(args=text) for _ in range(2)])
    assert buffer.demand(1, 1) == 7
    buffer.add([make_job(args=text) for _ in range(6)])
    assert buffer.demand(1, 1) == 0
    buffer.take_all()
    buffer.add(jobs(30))
    buffer.take_all()
    assert buffer.demand(1, 1) > 7
