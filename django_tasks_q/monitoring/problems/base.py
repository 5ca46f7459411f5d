"""What a problem is, and the data in which problems are looked for."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from ...brokers import get_broker
from ..queues import QueueStats, queue_stats
from ..statistics import Point, Span, series
from ..workers import WorkerState, workers

if TYPE_CHECKING:
    from ...brokers.base import Broker

__all__ = ["LATE", "Severity", "Situation", "Subject", "Trouble"]

# Seconds after which what should have begun is late.
LATE = 30.0


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"


class Subject(StrEnum):
    """What a problem is about: users who may view that may see the problem."""

    JOB = "job"
    RESULT = "result"
    QUEUE = "queue"
    WORKER = "worker"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One problem. remedy: what to do. command: a command that does it, or empty.

    kind: a stable identifier. queue: the queue that it is about, or empty.
    """

    kind: str
    severity: Severity
    subject: Subject
    message: str
    remedy: str
    command: str = ""
    queue: str = ""


@dataclass
class Situation:
    """The data in which problems are looked for: each query is made once, when it is needed."""

    backend: str = "default"

    @cached_property
    def broker(self) -> "Broker":
        return get_broker(self.backend)

    @cached_property
    def queues(self) -> list[QueueStats]:
        return queue_stats(self.backend)

    @cached_property
    def workers(self) -> list[WorkerState]:
        return workers(self.backend)

    @cached_property
    def hour(self) -> list[Point]:
        return series(Span.HOUR, self.backend)

    @property
    def alive(self) -> list[WorkerState]:
        return [worker for worker in self.workers if worker.alive]
