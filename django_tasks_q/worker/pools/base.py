"""The events that a pool reports to the supervisor."""

from typing import NamedTuple

from ...brokers.values import ClaimedJob
from ...lifecycle import Ending
from ..wire.frames import Limit, LogNote, Run

__all__ = ["Announced", "Asked", "Finished", "Logged", "Lost", "PoolEvent", "Reported", "Returned"]


class Finished(NamedTuple):
    """A child has run a job. seconds: how long it kept the child busy, as measured by the parent."""

    job: ClaimedJob
    run: Run
    seconds: float = 0.0


class Lost(NamedTuple):
    """The child that ran a job has died, with the cause as text.

    seconds: how long the job had run. limit: its hard time limit, if the child was killed at that.
    """

    job: ClaimedJob
    ending: Ending
    cause: str
    seconds: float
    limit: Limit | None = None


class Announced(NamedTuple):
    """A child has announced the end of a job that ended without a process of its own."""

    job: ClaimedJob


class Returned(NamedTuple):
    """A child has died that had not started these jobs."""

    jobs: tuple[ClaimedJob, ...]


class Reported(NamedTuple):
    """A running job has reported its progress, as JSON."""

    job: ClaimedJob
    text: str


class Asked(NamedTuple):
    """A child wants to begin a displaced job, and waits until its start is recorded in the database."""

    job: ClaimedJob
    seq: int


class Logged(NamedTuple):
    """A running job has logged something."""

    job: ClaimedJob
    note: LogNote


PoolEvent = Asked | Logged | Reported | Announced | Finished | Lost | Returned
