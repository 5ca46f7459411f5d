"""Whether a failed job runs again, and when. Policies are values; nothing here touches a database."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

__all__ = [
    "Backoff",
    "Constant",
    "Exponential",
    "Linear",
    "RetryDecision",
    "decide",
    "dump_backoff",
    "load_backoff",
    "make_backoff",
]

# Ten years in seconds: a calendar ends, and a policy may answer with infinity.
LONGEST_DELAY = 3_652 * 86_400.0


@runtime_checkable
class Backoff(Protocol):
    """How long to wait after a failed attempt. Your own class may stand in the decorator, not in using()."""

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait after the attempt with this number (from 1) has failed; at most ten years."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Wait the same time after each failure.

    seconds: the time to wait, or a sequence of times, one for each failure; the last one repeats.
    """

    seconds: float | tuple[float, ...] = 0.0

    def delay(self, attempt: int) -> float:
        if isinstance(self.seconds, tuple | list):
            return float(self.seconds[min(attempt, len(self.seconds)) - 1])
        return float(self.seconds)


@dataclass(frozen=True, slots=True)
class Linear:
    """Wait `step` seconds longer after each failure, at most `cap` seconds."""

    step: float = 10.0
    cap: float = 600.0

    def delay(self, attempt: int) -> float:
        return min(self.cap, self.step * attempt)


@dataclass(frozen=True, slots=True)
class Exponential:
    """Wait base ** attempt seconds, at most `cap` seconds.

    base: seconds after the first failure, and the factor from each to the next.
    cap: the longest wait in seconds.
    jitter: draw the wait from its upper half, so that jobs that failed together do not come back together.
    """

    base: float = 2.0
    cap: float = 600.0
    jitter: bool = True

    def delay(self, attempt: int) -> float:
        try:
            full = float(min(self.cap, self.base**attempt))
        except OverflowError:
            full = float(min(self.cap, LONGEST_DELAY))
        return random.uniform(full / 2, full) if self.jitter else full


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """The answer of a policy: retry after `delay` seconds, or not at all."""

    retry: bool
    delay: float = 0.0


def decide(
    error: BaseException | type[BaseException],
    *,
    failures: int,
    max_attempts: int,
    backoff: Backoff,
    retry_on: tuple[type[BaseException], ...],
) -> RetryDecision:
    """Decide whether a job runs again.

    error: what ended the attempt.
    failures: how many attempts have failed, this one included; lost runs do not count.
    max_attempts: how many attempts the job may make; 0 or less means no limit.
    """
    kind = error if isinstance(error, type) else type(error)
    if 0 < max_attempts <= failures or not issubclass(kind, retry_on):
        return RetryDecision(retry=False)
    return RetryDecision(retry=True, delay=min(max(0.0, backoff.delay(failures)), LONGEST_DELAY))


_KINDS: dict[str, type[Any]] = {"constant": Constant, "linear": Linear, "exponential": Exponential}


def make_backoff(value: object) -> Backoff:
    """Return a policy for a policy, a number of seconds, or a sequence of them. Raise TypeError for anything else."""
    if isinstance(value, Backoff) and not isinstance(value, type):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and value:
        return Constant(tuple(_wait(item, value) for item in value))
    return Constant(_wait(value, value))


def _wait(item: object, value: object) -> float:
    """Return one wait in seconds. Raise TypeError, quoting the whole value, where it is none."""
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
        "a policy of your own can only stand in the decorator, because a worker has to rebuild it."
    )


def load_backoff(stored: Mapping[str, Any]) -> Backoff:
    """Return the policy that dump_backoff() stored."""
    values = dict(stored)
    kind = _KINDS[values.pop("kind")]
    if isinstance(values.get("seconds"), list):
        values["seconds"] = tuple(values["seconds"])
    backoff: Backoff = kind(**values)
    return backoff
