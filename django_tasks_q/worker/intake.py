"""Takes what the pool has to say to whom it concerns."""

import time
from collections.abc import Callable, Iterable

from ..brokers.base import Broker
from ..brokers.values import ClaimedJob, Outcome
from ..services.registry import Registry
from .dispatcher import Dispatcher
from .outcomes import outcome_of
from .pools.base import Announced, Finished, Logged, Lost, PoolEvent, Reported, Returned, Stopped
from .recorder import Recorder

__all__ = ["Intake"]

# Outcomes: to write them down takes the database longer than it takes us to hand out as many jobs.
MUCH = 50


class Intake:
    """Turns the pool's events into outcomes to record, and into jobs to hand out again."""

    def __init__(self, broker: Broker, registry: Registry, dispatcher: Dispatcher, recorder: Recorder) -> None:
        self.broker = broker
        self.registry = registry
        self.dispatcher = dispatcher
        self.recorder = recorder
        self._ended = False
        # What stands in the database already, and who is to say so.
        self._unsaid: list[tuple[Callable[[ClaimedJob, Outcome], None], ClaimedJob, Outcome]] = []

    def serve(self) -> None:
        """While the database works: give out what was claimed, and take what the children say."""
        pool = self.dispatcher.pool
        if not pool.stopping:
            self.dispatcher.hand_out()
        self._take(pool.read())

    def collect(self) -> bool:
        """Take what has happened in the pool; return whether a run has ended since the last time."""
        self._take(self.dispatcher.pool.collect())
        unsaid, self._unsaid = self._unsaid, []
        for say, job, outcome in unsaid:
            say(job, outcome)
        ended, self._ended = self._ended, False
        return ended

    @property
    def has_news(self) -> bool:
        """Whether collect() has something to do already."""
        return (
            self._ended
            or bool(self._unsaid)
            or any(child.channel.has_frames for child in self.dispatcher.pool.children.values())
        )

    @property
    def has_much(self) -> bool:
        """Whether to record what has ended comes before anything else; a serve() comes with it."""
        return len(self.recorder.held) + self.dispatcher.pool.read_ahead() >= MUCH

    def _take(self, events: Iterable[PoolEvent]) -> None:
        clock, now = self.registry.clock, time.time()
        for event in events:
            if isinstance(event, Reported):
                self.recorder.progress[event.job.id] = event.text
            elif isinstance(event, Logged):
                self.recorder.lines.take(event.job, event.note)
            elif isinstance(event, Returned):
                self.dispatcher.buffer.put_back(event.jobs)
            elif isinstance(event, Announced):
                self._ended = True
            else:
                self._ended = True
                self._end(event, clock, now)

    def _end(self, event: Finished | Lost | Stopped, clock: float, now: float) -> None:
        outcome = outcome_of(
            event, worker_id=self.registry.worker_id, clock=clock, now=now, options=self.broker.options
        )
        if not isinstance(event, Finished):
            self.recorder.hold(event.job, outcome)
            return
        self.dispatcher.times.note(event.job.task_path, event.run.finished_at - event.run.started_at)
        if event.run.recorded:
            self._unsaid.append((self.recorder.note_recorded, event.job, outcome))
        elif event.run.superseded:
            self._unsaid.append((self.recorder.note_superseded, event.job, outcome))
        else:
            self.recorder.hold(event.job, outcome)
