import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_tasks_q import Constant, Exponential, Linear
from django_tasks_q.retries import Backoff, RetryDecision, decide, dump_backoff, load_backoff, make_backoff


@dataclass
class Mine:
    def delay(self, attempt: int) -> float:
        return attempt * 7.0


def delays(backoff: Backoff, count: int = 5) -> list[float]:
    return [backoff.delay(attempt) for attempt in range(1, count + 1)]


def test_constant_waits_the_same_each_time() -> None:
    assert delays(Constant(3)) == [3, 3, 3, 3, 3]


def test_a_sequence_repeats_its_last_wait() -> None:
    assert delays(Constant((1, 5, 30))) == [1, 5, 30, 30, 30]


def test_linear_grows_by_a_step_up_to_its_cap() -> None:
    assert delays(Linear(step=10, cap=35)) == [10, 20, 30, 35, 35]


def test_exponential_doubles_up_to_its_cap() -> None:
    assert delays(Exponential(base=2, cap=10, jitter=False)) == [2, 4, 8, 10, 10]


def test_exponential_does_not_overflow() -> None:
    assert Exponential(base=10.0, cap=600, jitter=False).delay(100_000) == 600


def test_jitter_draws_from_the_upper_half_and_not_always_the_same() -> None:
    drawn = {Exponential(base=2, cap=600).delay(5) for _ in range(200)}
    assert all(16 <= delay <= 32 for delay in drawn)
    assert len(drawn) > 100


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        (0, Constant(0.0)),
        (2.5, Constant(2.5)),
        ((1, 2), Constant((1.0, 2.0))),
        ([1], Constant((1.0,))),
        (timedelta(minutes=2), Constant(120.0)),
        ([timedelta(seconds=1), 5], Constant((1.0, 5.0))),
        (Linear(), Linear()),
    ],
)
def test_seconds_and_sequences_are_policies(value: Any, policy: Backoff) -> None:
    assert make_backoff(value) == policy


def test_a_policy_of_ones_own_is_taken_as_it_is() -> None:
    mine = Mine()
    assert make_backoff(mine) is mine


@pytest.mark.parametrize(
    "value",
    [True, "5", "", b"12", [], None, object(), ["a"], [True], -1, [-1], float("nan"), float("inf"), Exponential],
)
def test_what_is_no_policy_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="backoff must be"):
        make_backoff(value)


@pytest.mark.parametrize(
    "policy", [Constant(3), Constant((1.0, 2.0)), Linear(3, 9), Exponential(3.0, 9.0, jitter=False)]
)
def test_a_stored_policy_comes_back_equal(policy: Backoff) -> None:
    assert load_backoff(dump_backoff(policy)) == policy


def test_a_policy_of_ones_own_cannot_be_stored() -> None:
    with pytest.raises(TypeError, match=r"Mine.*can only stand in the decorator"):
        dump_backoff(Mine())


# decide


def ask(error: Any = ValueError, **changes: Any) -> RetryDecision:
    given = {"failures": 1, "max_attempts": 3, "backoff": Constant(4), "retry_on": (Exception,)} | changes
    return decide(error, **given)


def test_retry_while_attempts_are_left() -> None:
    assert ask(failures=2) == RetryDecision(retry=True, delay=4.0)


def test_no_retry_after_the_last_attempt() -> None:
    assert ask(failures=3) == RetryDecision(retry=False)


def test_one_attempt_means_no_retry() -> None:
    assert not ask(max_attempts=1).retry


def test_nought_attempts_mean_no_limit() -> None:
    assert ask(failures=10_000, max_attempts=0).retry


def test_only_the_named_exceptions_and_their_children_are_retried() -> None:
    assert ask(ConnectionError("gone"), retry_on=(OSError, KeyError)).retry
    assert not ask(ValueError("wrong"), retry_on=(OSError, KeyError)).retry


def test_an_exception_may_be_given_as_its_class() -> None:
    assert ask(OSError, retry_on=(OSError,)).retry


def test_nothing_named_means_no_retry() -> None:
    assert not ask(retry_on=()).retry


def test_the_number_of_failures_sets_the_delay() -> None:
    assert ask(failures=2, backoff=Constant((1, 20, 300))).delay == 20.0


def test_a_negative_delay_is_none() -> None:
    class Odd:
        def delay(self, attempt: int) -> float:
            return -5.0

    assert ask(backoff=Odd()).delay == 0.0


@pytest.mark.parametrize("seconds", [1e12, math.inf])
def test_no_delay_reaches_past_the_calendar(seconds: float) -> None:
    @dataclass
    class Late:
        def delay(self, attempt: int) -> float:
            return seconds

    decision = decide(ValueError(), failures=1, max_attempts=2, backoff=Late(), retry_on=(Exception,))
    assert datetime.now(UTC) + timedelta(seconds=decision.delay) < datetime(2100, 1, 1, tzinfo=UTC)
