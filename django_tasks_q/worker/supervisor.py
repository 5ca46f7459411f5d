"""The parent process: the only one that claims and completes, in one loop, over one connection."""

import logging
import math
import select
import time

from django.db import DatabaseError, InterfaceError, OperationalError
from django.dispatch import Signal

from ..brokers import get_broker
from ..brokers.values import ClaimedJob, Outcome
from ..notifiers import make_notifier, notify
from ..services.heartbeat import Heartbeat
from ..services.pruner import Pruner
from ..services.registry import Identity, Load, Registry
from ..services.rescuer import Rescuer
from ..services.scheduler import Scheduler
from ..signals import worker_started, worker_stopped
from .buffer import AHEAD
from .database import Database
from .dispatcher import Dispatcher
from .idleness import Idleness
from .outcomes import outcome_of
from .pools.base import Finished, PoolEvent, Returned
from .pools.memory import resident_bytes
from .pools.prefork import PreforkPool
from .queues import QueueSelector
from .readiness import refuse_unready
from .recorder import Recorder
from .settings import WorkerSettings
from .stopping import StopSignals

__all__ = ["Supervisor"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds for which a stopping worker keeps trying to reach a database that is away.
LONGEST_FAREWELL = 10.0
LONGEST_WAIT = 1.0


class Supervisor:
    """One worker: keeps a pool of children supplied with jobs and records how they ended."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.broker = get_broker(settings.backend)
        self.database = Database(self.broker.using)
        identity = Identity(settings.name, settings.queues, settings.excluded_queues, settings.concurrency)
        self.registry = Registry(self.broker, identity)
        self.pool = PreforkPool(
            self.registry,
            max_tasks=settings.max_tasks_per_child,
            max_memory=settings.max_memory_per_child,
        )
        self.recorder = Recorder(self.broker, self.registry, self.pool.announce)
        self.dispatcher = Dispatcher(self.pool)
        self.notifier = make_notifier(settings.backend, self.broker.using)
        self.idleness = Idleness(self.notifier, self.dispatcher.demand)
        self.selector = QueueSelector(self.broker, settings.queues, settings.excluded_queues)
        self.signals = StopSignals()
        self.scheduler = Scheduler(self.broker)
        self.services = [
            Heartbeat(self.registry, self._load, self.idleness.has_rested, self._start_over),
            Rescuer(self.broker, self.registry, self._note_rescued),
            Pruner(self.broker, self.registry),
        ]
        self.draining = False
        self._forced = False
        self._stop_at = math.inf
        self._look_now = True

    def run(self) -> int:
        """Work until told to stop, or until nothing is due (burst). Return the exit code.

        Raise ImproperlyConfigured where the database lacks the tables or is too old.
        """
        self.signals.install()
        self.pool.start()
        try:
            while not self._is_done():
                self._turn()
            return self._stop()
        finally:
            self.pool.close()

    def _turn(self) -> None:
        self._wait()
        self._collect()
        self._obey_signals()
        self._keep_pool()
        self._exchange()

    # stopping

    def _obey_signals(self) -> None:
        if self.signals.count and not self.draining:
            self._drain()
        stop_now = self.signals.count > 1 or time.monotonic() >= self._stop_at
        if stop_now and not self._forced and self.dispatcher.running:
            logger.warning("Stopping now: the jobs that still run go back to the queue.")
            self._forced = True
            self._stop_at = min(self._stop_at, time.monotonic())
            self.pool.kill_running()

    def _drain(self) -> None:
        """Claim no more; give back what has not begun; let the rest finish."""
        self.draining = True
        self.pool.stopping = True
        self._stop_at = time.monotonic() + self.settings.shutdown_timeout
        self.dispatcher.take_all_back()
        running, seconds = self.dispatcher.running, self.settings.shutdown_timeout
        logger.info("Stopping: %s running jobs may finish within %g s.", running, seconds)
        with self.database.guard():
            self.registry.mark_draining()

    def _is_done(self) -> bool:
        if self.recorder.held or not self.dispatcher.is_empty:
            return self.draining and self._gives_up()
        told = not self.pool.has_news or time.monotonic() >= self._stop_at
        return told and (self.draining or (self.settings.burst and self.idleness.is_exhausted and not self._look_now))

    def _gives_up(self) -> bool:
        """Say whether a database that is away keeps a stopping worker for too long."""
        return bool(self.database.seconds_until_retry) and time.monotonic() > self._stop_at + LONGEST_FAREWELL

    def _stop(self) -> int:
        self.pool.stopping = True
        left = self._held()
        if left:
            logger.error("The database is away; %s jobs are left to the other workers to rescue.", len(left))
        else:
            with self.database.guard():
                self.registry.leave(self._load())
        self.notifier.close()
        exit_code = 1 if left else 0
        self._tell(worker_stopped, exit_code=exit_code)
        return exit_code

    def _tell(self, signal: Signal, **facts: int) -> None:
        signal.send_robust(self.registry.sender, worker_id=self.registry.worker_id, worker=self.settings, **facts)

    # the database

    def _keep_pool(self) -> None:
        """Bring the fork server back; it must be forked off a process without connections."""
        if self.pool.needs_start and not self.draining:
            self.notifier.close()
            self.pool.start()
            self.database.is_new = True

    def _exchange(self) -> None:
        """Tell the database what has happened, and ask it for work."""
        if self.database.seconds_until_retry:
            return
        with self.database.guard():
            if self.database.is_new:
                self._connect()
            for service in self.services:
                service.run_if_due()
            # Who has not said that it sleeps is not told of anything.
            untold = self.notifier.reads_idle_flag and not self.registry.idle and not self.selector.has_ready
            if (untold or self._seconds_until_look() <= 0) and self.dispatcher.demand():
                self._look_now = True
            woken = self._look_now
            self._release()
            self._round()
            # After the round: who was woken for a job that is ready should not have to wait for this.
            if not self.draining:
                self._look_at_schedule(woken)

    def _connect(self) -> None:
        """Begin on a fresh connection: a new worker, or one whose last transaction may or may not have happened."""
        self.broker.prepare_session()
        if self.registry.worker_id:
            self.recorder.uncertain = True
            self.recorder.give_back(but=self._held())
        else:
            refuse_unready(self.broker)
            self.registry.register()
            self._tell(worker_started)
        self.notifier.listen()
        self.database.is_new = False
        self._look_now = True

    def _held(self) -> list[ClaimedJob]:
        return [*self.dispatcher.held(), *(job for job, _ in self.recorder.held)]

    def _look_at_schedule(self, woken: bool) -> None:
        """Make the jobs ready that are due, and learn when the next one is: nobody tells us of that."""
        longest = self.notifier.longest_sleep if self.idleness.is_exhausted else LONGEST_WAIT
        if woken or self.scheduler.is_due(longest):
            self._look_now |= self.scheduler.look()

    def _release(self) -> None:
        """Give back what no child could take; at the end, everything."""
        buffer = self.dispatcher.buffer
        jobs = buffer.take_all() if self.draining else buffer.take_stale()
        if not jobs:
            return
        try:
            self.broker.release(self.registry.worker_id, jobs)
        except DatabaseError:
            buffer.put_back(jobs)
            raise
        notify(self.broker.alias, self.broker.using)

    def _round(self) -> None:
        """Record outcomes and claim jobs, in one transaction."""
        demand = 0 if self.draining else self.dispatcher.demand()
        looking = demand > 0 and (self._look_now or self.selector.has_ready)
        queues = self.selector.look(now=self._look_now) if looking else []
        if looking:
            self._look_now = False
        jobs = self._record_and_claim(queues, demand) if queues or self.recorder.held else []
        if looking:
            self._note_found(len(jobs), demand)
        if not self.draining:
            self.dispatcher.hand_out(jobs)

    def _record_and_claim(self, queues: list[str], demand: int) -> list[ClaimedJob]:
        try:
            with self.broker.transaction(durable=bool(self.recorder.held)):
                recorded = self.recorder.record()
                jobs = self.selector.claim(self.registry.worker_id, queues, demand)
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            if not self.recorder.held:
                raise
            self.recorder.record_singly()
            return []
        for outcome in self.recorder.settle(recorded):
            self._expect(outcome.retry_in)
        return jobs

    def _note_found(self, found: int, demand: int) -> None:
        """Where we could do with more, say so, that an enqueue wakes us."""
        self.idleness.note_found(found, demand)
        if self.idleness.is_exhausted and self.notifier.reads_idle_flag and not self.registry.idle:
            # Once more after saying so: an enqueue that has not seen it yet is found now.
            self.registry.mark_idle()
            self._look_now = True

    def _note_rescued(self, job: ClaimedJob, outcome: Outcome) -> None:
        self.recorder.note_ended(job, outcome)
        self._look_now = True

    def _expect(self, seconds: float) -> None:
        """A job has gone back to the queue and is due after so many seconds."""
        if seconds > 0:
            self.scheduler.expect(seconds)
        else:
            self._look_now = True

    # children

    def _collect(self) -> None:
        for event in self.pool.collect():
            self._take(event)

    def _take(self, event: PoolEvent) -> None:
        if isinstance(event, Returned):
            self.dispatcher.buffer.put_back(event.jobs)
            return
        # The job may have enqueued another one after our last look: a burst is not over before one more.
        self._look_now |= self.settings.burst and self.idleness.is_exhausted
        outcome = outcome_of(
            event,
            worker_id=self.registry.worker_id,
            clock=self.registry.clock,
            now=time.time(),
            options=self.broker.options,
        )
        if not isinstance(event, Finished):
            self.recorder.hold(event.job, outcome)
            return
        self.dispatcher.times.note(event.job.task_path, event.run.finished_at - event.run.started_at)
        if event.run.recorded:
            self.recorder.note_recorded(event.job, outcome)
        elif event.run.superseded:
            self.recorder.note_superseded(event.job, outcome)
        else:
            self.recorder.hold(event.job, outcome)

    def _start_over(self) -> None:
        """The others have taken this worker for dead and its jobs for lost: let go of everything, and begin anew."""
        logger.error(
            "Worker %s was taken for dead after %g s without a heartbeat; it stops what it runs and starts over.",
            self.registry.worker_id,
            self.broker.options.rescue_after,
        )
        self.dispatcher.take_all_back()
        self.dispatcher.buffer.take_all()
        self.pool.kill_running()
        self.recorder.start_over()
        self._look_now = True

    # waiting

    def _wait(self) -> None:
        """Sleep until a child, a signal, a wake-up or a moment in time wants something."""
        self._look_now |= self.notifier.before_sleep()
        poll = select.poll()
        poll.register(self.signals.descriptor, select.POLLIN)
        for descriptor, has_output in self.pool.descriptors():
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if has_output else 0))
        heard = None if self.draining else self.notifier.fileno()
        if heard is not None:
            poll.register(heard, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(self._seconds_to_wait() * 1_000))}
        self.signals.drain()
        if heard in ready:
            with self.database.guard():
                self._look_now |= self.notifier.drain()

    def _seconds_to_wait(self) -> float:
        now = time.monotonic()
        waits = [LONGEST_WAIT, self.pool.enforce_limits()]
        if self.draining:
            waits.append(self._stop_at - now if self._stop_at > now else LONGEST_WAIT)
        if self.database.seconds_until_retry:
            waits.append(self.database.seconds_until_retry)
        else:
            waits += self._database_waits(now)
        if self.dispatcher.must_look_soon:
            waits.append(AHEAD)
        return max(0.0, min(waits))

    def _database_waits(self, now: float) -> list[float]:
        waits = [service.due_at - now for service in self.services]
        if not self.draining:
            waits.append(self.scheduler.seconds_until_due())
            if self.dispatcher.demand():
                waits.append(0.0 if self._look_now or self.selector.has_ready else self._seconds_until_look())
        return waits

    def _seconds_until_look(self) -> float:
        """Return how long to leave the queues alone where nobody wakes us."""
        due = self.selector.seconds_until_due()
        return min(self.idleness.seconds_until_poll(), math.inf if due is None else due)

    def _load(self) -> Load:
        return Load(self.dispatcher.running, self.recorder.finished, resident_bytes() + self.pool.memory())
