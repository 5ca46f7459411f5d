import math
import pickle
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_tasks_q import Constant, Exponential, Ignore, Linear, Reject, Retry
from django_tasks_q.retries import (
    Backoff,
    FailedJob,
    RetryDecision,
    decide,
    dump_backoff,
    load_backoff,
    make_backoff,
)


@dataclass
class Mine:
    def delay(self, attempt: int, error: BaseException, job: Any) -> float:
        return attempt * 7.0


JOB = FailedJob("1", "tests.tasks.add", "mail", [1], {"b": 2}, {}, 4, 2, datetime(2030, 1, 1, tzinfo=UTC))


def delays(backoff: Backoff, count: int = 5) -> list[float]:
    return [backoff.delay(attempt, ValueError(), JOB) for attempt in range(1, count + 1)]


def test_constant_waits_the_same_each_time() -> None:
    assert delays(Constant(3)) == [3, 3, 3, 3, 3]


def test_a_sequence_repeats_its_last_wait() -> None:
    assert delays(Constant((1, 5, 30))) == [1, 5, 30, 30, 30]


def test_linear_grows_by_a_step_up_to_its_cap() -> None:
    assert delays(Linear(step=10, cap=35)) == [10, 20, 30, 35, 35]


def test_exponential_doubles_up_to_its_cap() -> None:
    assert delays(Exponential(jitter=False, cap=10)) == [2, 4, 8, 10, 10]


def test_exponential_begins_with_its_first_and_grows_by_its_factor() -> None:
    assert delays(Exponential(first=30, jitter=False)) == [30, 60, 120, 240, 480]
    assert delays(Exponential(first=0.5, factor=3, jitter=False)) == [0.5, 1.5, 4.5, 13.5, 40.5]
    assert delays(Exponential(first=700, jitter=False)) == [600] * 5


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"factor": 1}, ValueError, r"factor must be more than 1.*use Constant\(2\.0\)"),
        ({"factor": 0.5, "first": 9}, ValueError, r"factor=0\.5.*use Constant\(9\)"),
        ({"first": -1}, ValueError, r"Exponential\(first=-1\): first must be a finite number"),
        ({"cap": math.inf}, ValueError, "cap must be a finite number"),
        ({"first": math.nan}, ValueError, "first must be a finite number"),
        ({"first": "2"}, TypeError, r"Exponential\(first='2'\): first must be a number"),
        ({"jitter": False, "first": True}, TypeError, "first must be a number"),
        ({"base": 2}, TypeError, "base"),
    ],
)
def test_what_does_not_grow_is_refused(given: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Exponential(**given)


def test_exponential_does_not_overflow() -> None:
    assert Exponential(factor=10.0, cap=600, jitter=False).delay(100_000) == 600


def test_jitter_draws_from_the_upper_half_and_not_always_the_same() -> None:
    drawn = {Exponential().delay(5) for _ in range(200)}
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
    "policy", [Constant(3), Constant((1.0, 2.0)), Linear(3, 9), Exponential(3.0, 4.0, 9.0, jitter=False)]
)
def test_a_stored_policy_comes_back_equal(policy: Backoff) -> None:
    assert load_backoff(dump_backoff(policy)) == policy


def test_a_policy_of_ones_own_cannot_be_stored() -> None:
    with pytest.raises(TypeError, match=r"Mine.*only allowed in the decorator"):
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


def test_zero_attempts_mean_no_limit() -> None:
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
        def delay(self, attempt: int, error: BaseException, job: Any) -> float:
            return -5.0

    assert ask(backoff=Odd()).delay == 0.0


@pytest.mark.parametrize("seconds", [1e12, math.inf])
def test_no_delay_reaches_past_the_calendar(seconds: float) -> None:
    @dataclass
    class Late:
        def delay(self, attempt: int, error: BaseException, job: Any) -> float:
            return seconds

    decision = decide(ValueError(), failures=1, max_attempts=2, backoff=Late(), retry_on=(Exception,))
    assert datetime.now(UTC) + timedelta(seconds=decision.delay) < datetime(2100, 1, 1, tzinfo=UTC)


def test_what_is_named_is_not_retried_even_where_its_parent_is() -> None:
    given = {"retry_on": (OSError,), "dont_retry_on": (FileNotFoundError, KeyError)}
    assert ask(ConnectionError("gone"), **given).retry
    assert not ask(FileNotFoundError("gone"), **given).retry


def test_a_policy_sees_the_error_and_the_job() -> None:
    class Seeing:
        def delay(self, attempt: int, error: BaseException, job: FailedJob) -> float:
            return attempt + 10 * len(str(error)) + 1_000 * job.attempt

    assert ask(ValueError("four"), failures=2, backoff=Seeing(), job=JOB).delay == 4_042


@pytest.mark.parametrize("answer", ["soon", None, ZeroDivisionError()])
def test_a_policy_that_fails_loses_no_job(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Failing:
        def delay(self, attempt: int, error: BaseException, job: Any) -> float:
            if isinstance(answer, Exception):
                raise answer
            return float(answer) if answer is None else answer

    decision = ask(failures=2, backoff=Failing())
    assert decision.retry
    assert 2 <= decision.delay <= 4
    assert "the job waits as with Exponential()" in caplog.text


def test_a_policy_has_to_take_what_it_is_told() -> None:
    class Old:
        def delay(self, attempt: int) -> float:
            return 1.0

    with pytest.raises(TypeError, match=r"The delay\(\) of .*Old must take \(attempt, error, job\): too many"):
        make_backoff(Old())


# Retry


def test_a_task_may_ask_for_another_attempt() -> None:
    never = {"retry_on": (), "dont_retry_on": (Exception,)}
    assert ask(Retry(after=90), **never) == RetryDecision(retry=True, delay=90)
    assert ask(Retry(timedelta(minutes=2)), **never).delay == 120
    assert ask(Retry(), **never).delay == 4
    assert ask(Retry(after=-5), **never).delay == 0
    assert ask(Retry(after=timedelta.max), **never).delay < 4_000 * 86_400


def test_it_has_no_more_attempts_than_the_others() -> None:
    assert ask(Retry(), failures=3) == RetryDecision(retry=False, note=" (no attempt is left: max_attempts is 3)")
    assert ask(ValueError(), failures=3).note == ""


@pytest.mark.parametrize("after", ["soon", True, math.nan, [1], datetime(2030, 1, 1, tzinfo=UTC)])
def test_it_needs_a_time(after: Any) -> None:
    with pytest.raises(TypeError, match=r"Retry\(after=.*: after must be seconds, a timedelta, or None"):
        Retry(after=after)


def test_it_says_why() -> None:
    error = pickle.loads(pickle.dumps(Retry(5, "The other side asks us to wait.")))
    assert (str(error), error.after, error.reason) == ("The other side asks us to wait.", 5, error.reason)
    assert str(Retry()) == "The task asks for another attempt."


@pytest.mark.parametrize("given", [{"args": "ab"}, {"args": b"ab"}, {"args": 5}, {"args": {1}}, {"kwargs": ["a"]}])
def test_new_arguments_are_a_sequence_and_a_mapping(given: Any) -> None:
    (name,) = given
    with pytest.raises(TypeError, match=rf"Retry\({name}=.*{name} must be a"):
        Retry(**given)


# Reject and Ignore


def test_a_rejected_job_is_not_retried_whatever_is_left() -> None:
    assert ask(Reject(), max_attempts=0) == RetryDecision(retry=False)


def test_a_job_that_is_put_back_is_not_charged_and_waits_a_second() -> None:
    assert ask(Reject(requeue=True), failures=9) == RetryDecision(retry=True, delay=1.0, charged=False)


@pytest.mark.parametrize(
    "error", [Retry(5, "why", args=[1], kwargs={"a": 2}), Reject("why", requeue=True), Ignore("why")], ids=repr
)
def test_what_a_task_raises_survives_a_process(error: Any) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again)) == (str(error), vars(error))
