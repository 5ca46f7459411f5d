"""The parent process: the only one that claims and completes, in one loop, over one connection."""

import logging
import time

from django.dispatch import Signal

from ..brokers import get_broker
from ..notifiers import make_notifier
from ..services.agenda import Agenda
from ..services.promoter import Promoter
from ..services.pruner import Pruner
from ..services.registry import Identity, Load, Registry
from ..services.rescuer import Rescuer
from ..services.scheduler import Scheduler
from ..services.statistics import StatisticsCollector, StatisticsRollup
from ..signals import worker_started, worker_stopped
from .canceller import Canceller
from .chores import Chores
from .claiming.buffer import AHEAD
from .claiming.dispatcher import Dispatcher
from .claiming.pass_on import PassOn
from .claiming.polling import Polling
from .claiming.queues import QueueSelector
from .database import LONGEST_DELAY, Database
from .descriptors import wait_for_any
from .heartbeat import Heartbeat
from .pools.memory import resident_bytes
from .pools.prefork import PreforkPool
from .readiness import refuse_unready
from .recording.intake import Intake
from .recording.recorder import Recorder
from .recording.reports import ReportWriter
from .rounds import Rounds
from .settings import WorkerSettings
from .shutdown import Shutdown, ShutdownSignals

__all__ = ["Supervisor"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds between two looks around; and that a stopping worker keeps trying to reach its database.
LONGEST_WAIT, LONGEST_FAREWELL = 1.0, 10.0
LONGEST_PATIENCE = 3.0  # Seconds that it waits for rows that another session has locked.
# Seconds after which it reports that an outcome cannot be recorded.
LONGEST_UNRECORDED = 5.0


class Supervisor:
    """One worker: keeps a pool of children supplied with jobs and records how they ended."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self.broker = get_broker(settings.backend)
        self.signals = ShutdownSignals()
        self.shutdown = Shutdown(self.signals, settings.shutdown_timeout)
        self.database = Database(self.broker, self.shutdown)
        identity = Identity(settings.name, settings.queues, settings.excluded_queues, settings.concurrency)
        self.registry = Registry(self.broker, identity)
        self.pool = PreforkPool(
            self.registry,
            max_tasks=settings.max_tasks_per_child,
            max_memory=settings.max_memory_per_child,
            cancel_grace=self.broker.options.cancel_grace,
        )
        self.statistics = StatisticsCollector(self.registry)
        self.recorder = Recorder(self.broker, self.registry, self.pool.announce, self.statistics.note)
        self.dispatcher = Dispatcher(self.pool)
        self.intake = Intake(self.broker, self.registry, self.dispatcher, self.recorder)
        self.notifier = make_notifier(settings.backend, self.broker.using)
        self.polling = Polling(self.notifier, lambda: self.rounds.demand())
        self.selector = QueueSelector(self.broker, settings.queues, settings.excluded_queues)
        self.heartbeat = Heartbeat(self.registry, settings.heartbeat_file)
        self.canceller = Canceller(self.broker, self.registry, self.notifier, self.dispatcher, self.recorder)
        scheduler = Scheduler(self.broker, self.registry, self.pool.catalog)
        self.agenda = Agenda(Promoter(self.broker), scheduler if settings.scheduler else None)
        self.rounds = Rounds(
            self.broker, self.registry, self.dispatcher, self.recorder, self.intake, self.selector, self.polling,
            self.notifier, self.agenda,
        )  # fmt: skip
        self.rescuer = Rescuer(self.broker, self.registry, self.pool.can_announce)
        self.chores = self._make_chores()
        self.pass_on = PassOn(self.registry, self.notifier, self.polling)
        self.draining = self._forced = False
        # When a stopping worker last did more than wait for locks, in monotonic seconds; and how many outcomes wait.
        self._last_work_at, self._waiting = 0.0, 0

    def _make_chores(self) -> Chores:
        return Chores([
            self.canceller, self.rescuer, ReportWriter(self.recorder),
            Pruner(self.broker, self.registry), self.statistics, StatisticsRollup(self.registry),
        ])  # fmt: skip

    def run(self) -> int:
        """Work until told to stop, or until nothing is due (burst). Return the exit code.

        Raise ImproperlyConfigured if the database lacks the tables or is too old.
        """
        self.signals.install()
        self.pool.start()
        try:
            while not self._is_done():
                self._turn()
            return self._stop()
        finally:
            self.database.leave()
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
        if self.shutdown.is_wanted and not self.draining:
            self._drain()
        if self.shutdown.is_due and not self._forced and self.dispatcher.running:
            logger.warning("Stopping now: running jobs go back to their queues.")
            self._forced = True
            self.pool.kill_running()

    def _drain(self) -> None:
        """Claim no more; give back jobs that have not begun; let the others finish."""
        self.draining = True
        self._last_work_at = time.monotonic()
        self.pool.drain()
        self.dispatcher.take_all_back()
        logger.info("Stopping: %s.", self.shutdown.describe(self.dispatcher.running))
        with self.database.guard():
            self.database.connect()
            self.registry.mark_draining()

    def _is_done(self) -> bool:
        if not self.recorder.is_empty or self.intake.has_news or not self.dispatcher.is_empty:
            return self.draining and self._gives_up()
        told = not self.pool.is_announcing or time.monotonic() >= self.shutdown.deadline
        return told and (self.draining or (self.settings.burst and self._has_done_all()))

    def _has_done_all(self) -> bool:
        # If a statement has failed, it is unknown what it would have found.
        looked = self.polling.is_exhausted and not self.rounds.look_now and self.database.is_answering
        nothing_due = not self.agenda.is_waiting and self.agenda.seconds_until_due() > 0
        return looked and nothing_due and not self.selector.leaves_out

    def _gives_up(self) -> bool:
        """Return whether an unreachable database, or locked rows, have kept a stopping worker for too long."""
        now = time.monotonic()
        if self.database.seconds_until_retry:
            return now > self.shutdown.deadline + LONGEST_FAREWELL
        waiting = len(self.recorder.unrecorded())
        if not self.dispatcher.is_empty or waiting != self._waiting:
            self._last_work_at = now
        self._waiting = waiting
        return now > self._last_work_at + LONGEST_PATIENCE

    def _stop(self) -> int:
        self.pool.drain()
        left = self.rounds.held()
        if left:
            why = "The database is unreachable" if self.database.seconds_until_retry else "Another session locks rows"
            logger.error("%s; %s jobs are left for other workers to rescue.", why, len(left))
        else:
            with self.database.guard():
                self.database.connect()
                self.registry.leave(self._load())
                self.statistics.run()
        self.notifier.close()
        exit_code = 1 if left else 0
        self._tell(worker_stopped, exit_code=exit_code)
        return exit_code

    def _tell(self, signal: Signal, **facts: int) -> None:
        signal.send_robust(self.registry.sender, worker_id=self.registry.worker_id, worker=self.settings, **facts)

    # the database

    def _keep_pool(self) -> None:
        """Restart the fork server; it has to be forked from a process without connections."""
        if self.pool.needs_start and not self.draining:
            self.notifier.close()
            self.database.leave()
            self.pool.start()

    def _exchange(self) -> None:
        """Record what has happened in the database, and get work from it: in separate, short steps."""
        if self.database.is_new and not self.database.seconds_until_retry:
            is_first = not self.registry.worker_id
            with self.database.guard():
                self._connect()
            # Not in there: a receiver may take longer than a statement may.
            if is_first and self.registry.worker_id:
                self._tell(worker_started)
        for step in (
            self._beat,
            self.rounds.write_begun,
            self._do_chore,
            self.pass_on.run_if_due,
            self.rounds.salvage,
            self._release,
            self._round,
        ):
            if not self.database.is_usable:
                return
            with self.database.guard():
                step()

    def _beat(self) -> None:
        if self.heartbeat.take_turn():
            beat = self.heartbeat.beat(self._load(), idle=self.registry.idle and self.polling.has_rested())
            self.shutdown.ask(beat.request)
            if beat.disowned:
                self._start_over()

    def _do_chore(self) -> None:
        try:
            self.chores.run_one()
        finally:
            self.rounds.note_rescued(self.rescuer.take_rescued())

    def _round(self) -> None:
        if self.database.seconds_until_unlocked:
            return
        if self.rounds.is_look_due() and self.dispatcher.demand():
            self.rounds.look_now = True
        woken = self.rounds.look_now
        self.rounds.run(draining=self.draining)
        # After the round: a worker that was woken for a ready job should not have to wait for this.
        if not self.draining:
            self.rounds.look_at_schedule(woken=woken)

    def _connect(self) -> None:
        """Start on a fresh connection: after a start, or when the last transaction may or may not have happened."""
        self.database.connect()
        self.broker.dialect.prepare_session(ours=self.notifier.keeps_session)
        if self.registry.worker_id:
            self.recorder.uncertain = True
            # Released jobs may now belong to another worker, even if the commit of the release was never confirmed.
            self.dispatcher.buffer.keep_only(self.recorder.give_back(but=self.rounds.held()))
            # Before it claims: the others may have presumed it dead while the database was unreachable.
            self.heartbeat.due_at = 0.0
            # Workers that come back a little later are not dead either.
            self.rescuer.put_off(LONGEST_DELAY + LONGEST_WAIT)
        else:
            refuse_unready(self.broker)
            self.registry.register()
        # It may not have got as far as registering as asleep.
        self.registry.idle = False
        self.notifier.listen(self.registry.bed.ear)
        self.database.note_connected()
        self.rounds.look_now = True

    def _release(self) -> None:
        self.rounds.release(draining=self.draining)

    # children

    def _collect(self) -> None:
        ended = self.intake.collect()
        # A job may have enqueued another one after our last look: a burst needs one more look before it ends.
        self.rounds.look_now |= ended and self.settings.burst and self.polling.is_exhausted

    def _start_over(self) -> None:
        """The others have presumed this worker dead and its jobs lost: drop everything, and start over."""
        logger.error(
            "Worker %s was presumed dead after %g s without a heartbeat; it stops its jobs and starts over.",
            self.registry.worker_id,
            self.broker.options.rescue_after,
        )
        self.dispatcher.take_all_back()
        self.dispatcher.buffer.take_all()
        self.pool.abandon_running()
        self.recorder.start_over()
        self.intake.asked.clear()
        self.rescuer.sweep_soon()
        self.rounds.look_now = True

    # waiting

    def _wait(self) -> None:
        """Sleep until a child, a signal, a wake-up or a due time needs attention."""
        self.rounds.look_now |= self.notifier.before_sleep()
        self.canceller.listen()
        heard = None if self.draining else self.notifier.fileno()
        listeners = [(descriptor, False) for descriptor in (self.signals.descriptor, heard) if descriptor is not None]
        ready = wait_for_any([*listeners, *self.pool.descriptors()], self._seconds_to_wait())
        self.signals.drain()
        if heard in ready:
            with self.database.guard():
                self.rounds.look_now |= self.notifier.drain()

    def _seconds_to_wait(self) -> float:
        now = time.monotonic()
        waits = [0.0 if self.intake.has_news else LONGEST_WAIT, self.pool.due_at - now]
        if self.draining:
            waits.append(self.shutdown.deadline - now if self.shutdown.deadline > now else LONGEST_WAIT)
        if self.database.seconds_until_retry:
            waits.append(self.database.seconds_until_retry)
        else:
            waits += self._database_waits(now)
        if self.dispatcher.must_look_soon:
            waits.append(AHEAD)
        return max(0.0, min(waits))

    def _database_waits(self, now: float) -> list[float]:
        waits = [
            self.database.seconds_until_unlocked if self.recorder.held else LONGEST_WAIT,
            self.heartbeat.due_at - now,
            self.chores.seconds_until_due(now),
            max(self.pass_on.due_at - now, self.database.seconds_until_unlocked),
            self.rounds.seconds_until_begun(),
        ]
        if (salvage := self.recorder.salvage.seconds_until_due(now)) is not None:
            waits.append(salvage)
        if not self.draining:
            waits.append(max(self.agenda.seconds_until_due(), self.database.seconds_until_unlocked))
            if self.dispatcher.demand() and not self.recorder.is_full:
                ready = self.rounds.look_now or self.selector.has_ready
                waits.append(self.database.seconds_until_unlocked if ready else self.rounds.seconds_until_look())
        return waits

    def _load(self) -> Load:
        memory = resident_bytes() + self.pool.memory()
        trouble = self.recorder.salvage.trouble(after=LONGEST_UNRECORDED)
        return Load(self.dispatcher.running, self.recorder.finished, memory, trouble)
