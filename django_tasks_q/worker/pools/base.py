"""What a pool tells the supervisor."""

from typing import NamedTuple

from ...brokers.values import ClaimedJob
from .wire import Limit, LogNote, Run

__all__ = ["Announced", "Finished", "Logged", "Lost", "PoolEvent", "Reported", "Returned", "Stopped"]


class Finished(NamedTuple):
    """A child has run a job."""

    job: ClaimedJob
    run: Run


class Lost(NamedTuple):
    """The child that ran a job is gone, with the cause in words.

    limit: set where the child was killed because of the job's hard time limit.
    seconds: how long the job had run. memory: whether the child was killed for its size.
    cancelled: whether it was killed because the job was to be cancelled and did not end.
    """

    job: ClaimedJob
    cause: str
    seconds: float
    limit: Limit | None = None
    memory: bool = False
    cancelled: bool = False


class Stopped(NamedTuple):
    """A running job was stopped together with its child, because the worker had to stop."""

    job: ClaimedJob


class Announced(NamedTuple):
    """A child has said of a job that ended without a process of its own that it ended."""

    job: ClaimedJob


class Returned(NamedTuple):
    """A child is gone that had not started these jobs."""

    jobs: tuple[ClaimedJob, ...]


class Reported(NamedTuple):
    """A running job has said how far it is, in JSON."""

    job: ClaimedJob
    text: str


class Logged(NamedTuple):
    """A running job has logged something."""

    job: ClaimedJob
    note: LogNote


PoolEvent = Logged | Reported | Announced | Finished | Lost | Stopped | Returned
