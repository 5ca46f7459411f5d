"""What a pool tells the supervisor."""

from dataclasses import dataclass

from ...brokers.values import ClaimedJob
from .wire import Limit, Run

__all__ = ["Finished", "Lost", "PoolEvent", "Returned", "Stopped"]


@dataclass(frozen=True, slots=True)
class Finished:
    """A child has run a job."""

    job: ClaimedJob
    run: Run


@dataclass(frozen=True, slots=True)
class Lost:
    """The child that ran a job is gone, with the cause in words.

    limit: set where the child was killed because of the job's hard time limit.
    seconds: how long the job had run. memory: whether the child was killed for its size.
    """

    job: ClaimedJob
    cause: str
    seconds: float
    limit: Limit | None = None
    memory: bool = False


@dataclass(frozen=True, slots=True)
class Stopped:
    """A running job was stopped together with its child, because the worker had to stop."""

    job: ClaimedJob


@dataclass(frozen=True, slots=True)
class Returned:
    """A child is gone that had not started these jobs."""

    jobs: tuple[ClaimedJob, ...]


PoolEvent = Finished | Lost | Stopped | Returned
