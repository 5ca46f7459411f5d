"""The parent process: the only one that claims and completes, in one loop, over one connection."""

import logging
import math
import time
from contextlib import nullcontext

from django.db import DatabaseError
from django.dispatch import Signal

from ..brokers import get_broker
from ..brokers.values import ClaimedJob, Outcome
from ..notifiers import make_notifier, notify
from ..services.agenda import Agenda
from ..services.canceller import Canceller
from ..services.heartbeat import Heartbeat
from ..services.pruner import Pruner
from ..services.registry import Identity, Load, Registry
from ..services.reports import ReportWriter
from ..services.rescuer import Rescuer
from ..services.scheduler import Scheduler
from ..services.statistics import Condenser, Gatherer
from ..services.ticker import Ticker
from ..signals import worker_started, worker_stopped
from .buffer import AHEAD
from .cancelling import Cancelling
from .database import GONE, Database
from .descriptors import wait_for_any
from .dispatcher import Dispatcher
from .idleness import Idleness
from .intake import Intake
from .pools.memory import resident_bytes
from .pools.prefork import PreforkPool
from .queues import QueueSelector
from .readiness import refuse_unready
from .recorder import Recorder
from .settings import WorkerSettings
from .stopping import Ending, StopSignals

__all__ = ["Supervisor"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds for which a stopping worker keeps trying to reach a database that is away; and between two looks around.
LONGEST_FAREWELL, LONGEST_WAIT = 10.0, 1.0


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
            cancel_grace=self.broker.options.cancel_grace,
        )
        self.gatherer = Gatherer(self.registry)
        self.recorder = Recorder(self.broker, self.registry, self.pool.announce, self.gatherer.note)
        self.dispatcher = Dispatcher(self.pool)
        self.intake = Intake(self.broker, self.registry, self.dispatcher, self.recorder)
        self.notifier = make_notifier(settings.backend, self.broker.using)
        self.idleness = Idleness(self.notifier, self.dispatcher.demand)
        self.selector = QueueSelector(self.broker, settings.queues, settings.excluded_queues)
        self.signals = StopSignals()
        self.ending = Ending(self.signals, settings.shutdown_timeout)
        self.heartbeat = Heartbeat(
            self.registry, self._load, self.idleness.has_rested, self._start_over, self.ending.ask
        )
        cancelling = Cancelling(self.dispatcher, self.recorder)
        held = self.dispatcher.held_ids
        self.canceller = Canceller(self.broker, self.registry, self.notifier, held, cancelling.cancel)
        ticker = Ticker(self.broker, self.registry, self.pool.catalogue.find, self.pool.catalogue.declared)
        self.agenda = Agenda(Scheduler(self.broker), ticker if settings.scheduler else None)
        self.services = [
            self.heartbeat,
            Rescuer(self.broker, self.registry, self._note_rescued),
            self.canceller,
            ReportWriter(self.recorder.record_reports),
            Pruner(self.broker, self.registry),
            self.gatherer,
            Condenser(self.registry),
        ]
        self.draining = False
        self._forced = False
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
        self.pool.enforce_limits()
        self._obey()
        self._keep_pool()
        self._exchange()

    # stopping

    def _obey(self) -> None:
        if self.ending.is_wanted and not self.draining:
            self._drain()
        if self.ending.is_due and not self._forced and self.dispatcher.running:
            logger.warning("Stopping now: the jobs that still run go back to the queue.")
            self._forced = True
            self.pool.kill_running()

    def _drain(self) -> None:
        """Claim no more; give back what has not begun; let the rest finish."""
        self.draining = True
        self.pool.stopping = True
        self.dispatcher.take_all_back()
        logger.info("Stopping: %s running jobs may finish %s.", self.dispatcher.running, self.ending)
        with self.database.guard():
            self.registry.mark_draining()

    def _is_done(self) -> bool:
        if self.recorder.held or self.intake.has_news or not self.dispatcher.is_empty:
            return self.draining and self._gives_up()
        told = not self.pool.has_news or time.monotonic() >= self.ending.deadline
        return told and (self.draining or (self.settings.burst and self._has_done_all()))

    def _has_done_all(self) -> bool:
        # Where a statement has failed, nobody knows what it would have found.
        looked = self.idleness.is_exhausted and not self._look_now and not self.database.is_new
        return looked and not self.selector.leaves_out and not self.agenda.is_waiting

    def _gives_up(self) -> bool:
        """Say whether a database that is away keeps a stopping worker for too long."""
        return bool(self.database.seconds_until_retry) and time.monotonic() > self.ending.deadline + LONGEST_FAREWELL

    def _stop(self) -> int:
        self.pool.stopping = True
        left = self._held()
        if left:
            logger.error("The database is away; %s jobs are left to the other workers to rescue.", len(left))
        else:
            with self.database.guard():
                self.registry.leave(self._load())
                self.gatherer.run()
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
            # What was released may be another worker's by now, although nobody said that the release was committed.
            self.dispatcher.buffer.keep_only(self.recorder.give_back(but=self._held()))
            # Before it claims: the others may have taken it for dead while the database was away.
            self.heartbeat.due_at = 0.0
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
        told = self.idleness.is_exhausted and (self.registry.idle or not self.notifier.reads_idle_flag)
        longest = self.notifier.longest_sleep if told else LONGEST_WAIT
        if woken or self.agenda.is_due(longest):
            self._look_now |= self.agenda.look()

    def _release(self) -> None:
        """Give back what no child could take; at the end, everything."""
        buffer = self.dispatcher.buffer
        jobs = buffer.take_all() if self.draining else buffer.take_stale()
        if not jobs:
            return
        try:
            self.recorder.release(jobs)
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
            self.dispatcher.buffer.add(self.recorder.drop_expired(jobs))
            if not (self.broker.has_meanwhile and self.intake.has_much):
                self.dispatcher.hand_out()

    def _record_and_claim(self, queues: list[str], demand: int) -> list[ClaimedJob]:
        recording = bool(self.recorder.held)
        try:
            # Where there is nothing to record, each claim is a transaction of its own.
            together = self.broker.transaction() if recording else nullcontext()
            with self.broker.meanwhile(self.intake.serve), together:
                recorded = self.recorder.record()
                jobs = self.selector.claim(self.registry.worker_id, queues, demand)
        except GONE:
            raise
        except DatabaseError:
            if not recording:
                raise
            retried, jobs, self._look_now = self.recorder.record_singly(), [], True
        else:
            retried = self.recorder.settle(recorded)
        for outcome in retried:
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
            self.agenda.expect(seconds)
        else:
            self._look_now = True

    # children

    def _collect(self) -> None:
        ended = self.intake.collect()
        # A job may have enqueued another one after our last look: a burst is not over before one more.
        self._look_now |= ended and self.settings.burst and self.idleness.is_exhausted

    def _start_over(self) -> None:
        """The others have taken this worker for dead and its jobs for lost: let go of everything, and begin anew."""
        logger.error(
            "Worker %s was taken for dead after %g s without a heartbeat; it stops what it runs and starts over.",
            self.registry.worker_id,
            self.broker.options.rescue_after,
        )
        self.dispatcher.take_all_back()
        self.dispatcher.buffer.take_all()
        self.pool.abandon_running()
        self.recorder.start_over()
        self._look_now = True

    # waiting

    def _wait(self) -> None:
        """Sleep until a child, a signal, a wake-up or a moment in time wants something."""
        self._look_now |= self.notifier.before_sleep()
        self.canceller.listen()
        heard = None if self.draining else self.notifier.fileno()
        listeners = [(descriptor, False) for descriptor in (self.signals.descriptor, heard) if descriptor is not None]
        ready = wait_for_any([*listeners, *self.pool.descriptors()], self._seconds_to_wait())
        self.signals.drain()
        if heard in ready:
            with self.database.guard():
                self._look_now |= self.notifier.drain()

    def _seconds_to_wait(self) -> float:
        now = time.monotonic()
        waits = [0.0 if self.intake.has_news else LONGEST_WAIT, self.pool.seconds_until_limit()]
        if self.draining:
            waits.append(self.ending.deadline - now if self.ending.deadline > now else LONGEST_WAIT)
        if self.database.seconds_until_retry:
            waits.append(self.database.seconds_until_retry)
        else:
            waits += self._database_waits(now)
        if self.dispatcher.must_look_soon:
            waits.append(AHEAD)
        return max(0.0, min(waits))

    def _database_waits(self, now: float) -> list[float]:
        waits = [0.0 if self.recorder.held else LONGEST_WAIT, *(service.due_at - now for service in self.services)]
        if not self.draining:
            waits.append(self.agenda.seconds_until_due())
            if self.dispatcher.demand():
                waits.append(0.0 if self._look_now or self.selector.has_ready else self._seconds_until_look())
        return waits

    def _seconds_until_look(self) -> float:
        """Return how long to leave the queues alone where nobody wakes us."""
        due = self.selector.seconds_until_due()
        return min(self.idleness.seconds_until_poll(), math.inf if due is None else due)

    def _load(self) -> Load:
        return Load(self.dispatcher.running, self.recorder.finished, resident_bytes() + self.pool.memory())
