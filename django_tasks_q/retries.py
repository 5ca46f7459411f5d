"""Whether a failed job runs again, and when. Policies are values; nothing here touches a database."""

import inspect
import logging
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from .exceptions import Reject, Retry

__all__ = [
    "Backoff",
    "Constant",
    "Exponential",
    "FailedJob",
    "Linear",
    "RetryDecision",
    "decide",
    "dump_backoff",
    "load_backoff",
    "make_backoff",
]

logger = logging.getLogger("django_tasks_q.worker")
# Ten years in seconds: calendars end, and a policy may return infinity.
LONGEST_DELAY = 3_652 * 86_400.0
# Seconds until a job is due again that its task has put back: one that nobody takes must not keep a worker busy.
REJECTED_DELAY = 1.0


@runtime_checkable
class Backoff(Protocol):
    """How long to wait after a failed attempt. Your own class is allowed in the decorator, but not in using().

    If delay() raises, the error is logged and the job waits as with Exponential(). For a task with a time limit it is
    also called before each run, with a TaskTimeout: a killed process could not call it.
    """

    def delay(self, attempt: int, error: BaseException, job: "FailedJob", /) -> float:
        """Return the seconds to wait, at most ten years.

        attempt: how many attempts have failed, including this one. error: what ended it. job: the job that failed.
        """
        ...


@dataclass(frozen=True, slots=True)
class FailedJob:
    """What a policy gets to know about the job.

    attempt: the number of the run. failures: how many runs have failed, including this one.
    """

    id: str
    task_path: str
    queue_name: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    metadata: Mapping[str, Any]
    attempt: int
    failures: int
    enqueued_at: datetime


@dataclass(frozen=True, slots=True)
class Constant:
    """Wait the same time after each failure.

    seconds: the time to wait, or a sequence of times, one for each failure; the last one repeats.
    """

    seconds: float | tuple[float, ...] = 0.0

    def delay(self, attempt: int, error: object = None, job: object = None) -> float:
        if isinstance(self.seconds, tuple | list):
            return float(self.seconds[min(attempt, len(self.seconds)) - 1])
        return float(self.seconds)


@dataclass(frozen=True, slots=True)
class Linear:
    """Wait `step` seconds longer after each failure, at most `cap` seconds."""

    step: float = 10.0
    cap: float = 600.0

    def delay(self, attempt: int, error: object = None, job: object = None) -> float:
        return min(self.cap, self.step * attempt)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Wait `first` seconds after the first failure, and `factor` times as long after each further one.

    first: seconds. factor: more than 1. cap: the longest wait in seconds.
    jitter: draw the wait from its upper half, so that jobs that failed together are not retried together.

    Raise TypeError or ValueError for invalid numbers.
    """

    first: float = 2.0
    factor: float = 2.0
    cap: float = 600.0
    jitter: bool = True

    def __post_init__(self) -> None:
        for name in ("first", "factor", "cap"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool):
                raise TypeError(f"Exponential({name}={value!r}): {name} must be a number.")
            if not 0 <= value < math.inf:
                raise ValueError(f"Exponential({name}={value!r}): {name} must be a finite number from 0 on.")
        if self.factor <= 1:
            raise ValueError(
                f"Exponential(factor={self.factor!r}): factor must be more than 1, or the waits do not grow. For "
                f"waits that are all the same, use Constant({self.first!r})."
            )

    def delay(self, attempt: int, error: object = None, job: object = None) -> float:
        try:
            full = float(min(self.cap, self.first * self.factor ** (attempt - 1)))
        except OverflowError:
            full = float(min(self.cap, LONGEST_DELAY))
        return random.uniform(full / 2, full) if self.jitter else full


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The decision of a policy: retry after `delay` seconds, or not at all.

    note: what to add to the job's reason. charged: False leaves this run out of the job's attempts and errors.
    """

    retry: bool
    delay: float = 0.0
    note: str = ""
    charged: bool = True


def decide(
    error: BaseException | type[BaseException],
    *,
    failures: int,
    max_attempts: int,
    backoff: Backoff,
    retry_on: tuple[type[BaseException], ...],
    dont_retry_on: tuple[type[BaseException], ...] = (),
    job: FailedJob | None = None,
) -> RetryDecision:
    """Decide whether a job runs again.

    error: what ended the attempt. job: the job that failed, for the policy.
    failures: how many attempts have failed, including this one; lost runs do not count.
    max_attempts: how many attempts the job may make; 0 or less means no limit.
    """
    given = error() if isinstance(error, type) else error
    asked = isinstance(given, Retry)
    if isinstance(given, Reject):
        return (
            RetryDecision(retry=True, delay=REJECTED_DELAY, charged=False) if given.requeue else RetryDecision(False)
        )
    if 0 < max_attempts <= failures:
        return RetryDecision(
            retry=False, note=f" (no attempt is left: max_attempts is {max_attempts})" if asked else ""
        )
    if not asked and (not isinstance(given, retry_on) or isinstance(given, dont_retry_on)):
        return RetryDecision(retry=False)
    if isinstance(given, Retry) and given.after is not None:
        return RetryDecision(retry=True, delay=min(max(0.0, given.after), LONGEST_DELAY))
    return RetryDecision(retry=True, delay=_asked_delay(backoff, failures, given, job))


def _asked_delay(backoff: Any, failures: int, error: BaseException, job: FailedJob | None) -> float:
    """Return the wait that a policy chooses. A project's own policy may fail; the job must not be lost by that."""
    try:
        return float(min(max(0.0, backoff.delay(failures, error, job)), LONGEST_DELAY))
    except Exception:
        logger.exception("The delay() of %s failed; the job waits as with Exponential().", type(backoff).__qualname__)
        return Exponential().delay(failures)


_KINDS: dict[str, type[Any]] = {"constant": Constant, "linear": Linear, "exponential": Exponential}


def make_backoff(value: object) -> Backoff:
    """Return a policy for a policy, a number of seconds, or a sequence of them. Raise TypeError for anything else."""
    if isinstance(value, Backoff) and not isinstance(value, type):
        _refuse_other_parameters(value)
        return value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and value:
        return Constant(tuple(_wait(item, value) for item in value))
    return Constant(_wait(value, value))


def _refuse_other_parameters(policy: Backoff) -> None:
    """Raise TypeError if a policy does not take the arguments of delay()."""
    try:
        inspect.signature(policy.delay).bind(1, None, None)
    except TypeError as error:
        raise TypeError(
            f"The delay() of {type(policy).__qualname__} must take (attempt, error, job): {error}. "
            "It returns the seconds to wait."
        ) from None
    except ValueError:  # Some C functions have no signature to inspect.
        return


def _wait(item: object, value: object) -> float:
    """Return one wait in seconds. Raise TypeError, quoting the whole value, if it is not one."""
    seconds = item.total_seconds() if isinstance(item, timedelta) else item
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < math.inf:
        return float(min(seconds, LONGEST_DELAY))
    raise TypeError(
        "backoff must be a policy (Exponential, Linear, Constant), seconds or a timedelta, or a sequence of them, "
        f"not {value!r}."
    )


def dump_backoff(backoff: Backoff) -> dict[str, Any]:
    """Return the policy as JSON. Raise TypeError for a class that a worker could not rebuild."""
    for name, kind in _KINDS.items():
        if type(backoff) is kind:
            return {"kind": name, **asdict(backoff)}  # type: ignore[call-overload]
    raise TypeError(
        f"using(backoff=…) takes Exponential, Linear, Constant or seconds, not {type(backoff).__qualname__}: "
        "a policy of your own is only allowed in the decorator, because a worker has to rebuild it."
    )


def load_backoff(stored: Mapping[str, Any]) -> Backoff:
    """Return the policy that dump_backoff() stored."""
    values = dict(stored)
    kind = _KINDS[values.pop("kind")]
    if isinstance(values.get("seconds"), list):
        values["seconds"] = tuple(values["seconds"])
    backoff: Backoff = kind(**values)
    return backoff
