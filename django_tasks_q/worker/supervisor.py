"""The parent process: the only one that claims and completes, in one loop, over one connection."""

import logging
import time
from collections.abc import Callable, Sequence

from django.dispatch import Signal

from ..brokers import get_broker
from ..notifiers import make_notifier
from ..services.agenda import Agenda
from ..services.base import Due
from ..services.promoter import Promoter
from ..services.pruner import Pruner
from ..services.registry import Identity, Load, Registry
from ..services.rescuer import Rescuer
from ..services.scheduler import Scheduler
from ..services.statistics import StatisticsRollup
from ..signals import worker_started, worker_stopped
from .canceller import Canceller
from .chores import Chores
from .claiming.dispatcher import Dispatcher
from .claiming.pass_on import PassOn
from .claiming.polling import Polling
from .claiming.queues import QueueSelector
from .completion import Completion
from .database import LONGEST_DELAY, Database
from .heartbeat import Heartbeat
from .pools.base import AHEAD, Pool
from .pools.memory import resident_bytes
from .pools.prefork import PreforkPool
from .readiness import refuse_unready
from .recording.intake import Intake
from .recording.recorder import Recorder, ReportWriter
from .recording.starts import Starts
from .rounds import Rounds
from .settings import WorkerSettings
from .shutdown import Phase, Shutdown, ShutdownSignals
from .sleep import Sleep, wait_for_any

__all__ = ["Supervisor"]

logger = logging.getLogger("django_tasks_q.worker")
# Seconds between two looks around.
LONGEST_WAIT = 1.0
# Seconds after which it reports that an outcome cannot be recorded.
LONGEST_UNRECORDED = 5.0
# Seconds until jobs of dead workers are rescued if there are too many to be announced.
ROOM_DELAY = 0.2


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
        self.pool = self._make_pool()
        self.recorder = Recorder(self.broker, self.registry)
        self.dispatcher = Dispatcher(self.pool)
        self.intake = Intake(self.broker, self.registry, self.dispatcher, self.recorder)
        self.starts = Starts(self.intake)
        self.notifier = make_notifier(settings.backend, self.broker.using)
        selector = QueueSelector(self.broker, settings.queues, settings.excluded_queues)
        self.polling = Polling(self.notifier, self.registry, selector)
        self.pass_on = PassOn(self.registry, self.notifier, self.polling)
        scheduler = Scheduler(self.broker, self.registry, self.pool.catalog)
        self.agenda = Agenda(Promoter(self.broker), scheduler if settings.scheduler else None)
        self.rounds = Rounds(self.shutdown, self.intake, self.polling, self.agenda)
        self.heartbeat = Heartbeat(self.registry, settings.heartbeat_file)
        self.rescuer = Rescuer(self.broker, self.registry)
        self.canceller = Canceller(self.broker, self.registry, self.notifier, self.dispatcher, self.recorder)
        self.chores = self._make_chores()
        # What a turn does if it is due, in this order; then follows a round.
        self._steps: Sequence[tuple[Due, Callable[[], None]]] = [
            (self.heartbeat, self._beat), (self.starts, self.starts.run), (self.chores, self._do_chore),
            (self.recorder.salvage, self.rounds.salvage),
        ]  # fmt: skip
        due = [part for part, _ in self._steps]
        self._sleep = Sleep(
            self.database, offline=[self.shutdown, self.pool], online=due, unlocked=[self.rounds, self.pass_on]
        )
        self._completion = Completion(self.database, self.rounds, burst=settings.burst)

    def _make_pool(self) -> Pool:
        return PreforkPool(
            self.registry,
            max_tasks=self.settings.max_tasks_per_child,
            max_memory=self.settings.max_memory_per_child,
            cancel_grace=self.broker.options.cancel_grace,
        )

    def _make_chores(self) -> Chores:
        return Chores([
            self.canceller, self.rescuer, ReportWriter(self.recorder), Pruner(self.broker, self.registry),
            self.recorder.announcer.statistics, StatisticsRollup(self.registry),
        ])  # fmt: skip

    def run(self) -> int:
        """Work until told to stop, or until nothing is due (burst). Return the exit code.

        Raise ImproperlyConfigured if the database lacks the tables or is too old.
        """
        self.signals.install()
        self.pool.start()
        try:
            while not self._completion.is_reached():
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
        self._announce()

    # stopping

    def _obey(self) -> None:
        wanted = self.shutdown.wanted()
        if wanted and self.shutdown.phase is Phase.RUNNING:
            self._drain()
        if wanted is Phase.STOPPING and self.shutdown.phase is Phase.DRAINING and self.dispatcher.running:
            logger.warning("Stopping now: running jobs go back to their queues.")
            self.shutdown.enter(Phase.STOPPING)
            self.pool.kill_running()

    def _drain(self) -> None:
        """Claim no more; give back jobs that have not begun; let the others finish."""
        self.shutdown.enter(Phase.DRAINING)
        self.pool.drain()
        self.dispatcher.take_all_back()
        logger.info("Stopping: %s.", self.shutdown.describe(self.dispatcher.running))
        with self.database:
            self.database.connect()
            self.registry.mark_draining()

    def _stop(self) -> int:
        self.pool.drain()
        left = self.rounds.held()
        if left:
            why = "The database is unreachable" if self.database.is_unreachable else "Another session locks rows"
            logger.error("%s; %s jobs are left for other workers to rescue.", why, len(left))
        else:
            with self.database:
                self.database.connect()
                self.registry.leave(self._load())
                self.recorder.announcer.statistics.run()
        self.notifier.close()
        exit_code = 1 if left else 0
        self._tell(worker_stopped, exit_code=exit_code)
        return exit_code

    def _tell(self, signal: Signal, **facts: int) -> None:
        signal.send_robust(self.registry.sender, worker_id=self.registry.worker_id, worker=self.settings, **facts)

    # the database

    def _keep_pool(self) -> None:
        """Restart the fork server; it has to be forked from a process without connections."""
        if self.pool.needs_start and not self.shutdown.has_begun:
            self.notifier.close()
            self.database.leave()
            self.pool.start()

    def _exchange(self) -> None:
        """Record what has happened in the database, and get work from it: in separate, short steps."""
        if self.database.is_new and not self._begin_session():
            return
        self.rounds.count_demand()
        for part, step in self._steps:
            if part.due_at <= time.monotonic() and not self._do(step):
                return
        if not self.polling.demand:
            # They may have made room.
            self.rounds.count_demand()
        if not self.database.is_locked:
            self._do(self.rounds.run)
        if self.pass_on.due_at <= time.monotonic() and self.database.is_answering:
            self._do(self.pass_on.run)

    def _do(self, step: Callable[[], None]) -> bool:
        """Do something with the database; return whether that can still be reached."""
        with self.database:
            step()
        return not self.database.is_new

    def _begin_session(self) -> bool:
        """Connect, unless that has just failed; return whether the database can be used."""
        is_first = not self.registry.worker_id
        is_connected = not self.database.is_unreachable and self._do(self._connect)
        # Not in there: a receiver may take longer than a statement may.
        if is_first and self.registry.worker_id:
            self._tell(worker_started)
        return is_connected

    def _beat(self) -> None:
        self.heartbeat.take_turn()
        beat = self.heartbeat.beat(self._load(), idle=self.registry.idle and self.polling.has_rested())
        self.shutdown.ask(beat.request)
        if beat.disowned:
            self._start_over()

    def _do_chore(self) -> None:
        if not self.pool.can_announce():
            self.rescuer.put_off(ROOM_DELAY)
        try:
            self.chores.run_one()
        finally:
            self.rounds.note_rescued(self.rescuer.take_rescued())

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
        self.polling.request()

    # children

    def _collect(self) -> None:
        ended = self.intake.collect()
        if ended and self.settings.burst and self.polling.is_exhausted:
            # A job may have enqueued another one after our last look: a burst needs one more look before it ends.
            self.polling.request()

    def _announce(self) -> None:
        """Have children announce what ended without one."""
        for job, error in self.recorder.announcer.take_unannounced():
            self.pool.announce(job, error)

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
        self.rounds.count_demand()
        self.polling.request()

    # waiting

    def _wait(self) -> None:
        """Sleep until a child, a signal, a wake-up or a due time needs attention."""
        self._note_woken(self.notifier.before_sleep())
        self.canceller.listen()
        heard = None if self.shutdown.has_begun else self.notifier.fileno()
        listeners = [(descriptor, False) for descriptor in (self.signals.descriptor, heard) if descriptor is not None]
        most = AHEAD if self.dispatcher.must_look_soon else LONGEST_WAIT
        seconds = 0.0 if self.intake.has_news else self._sleep.seconds(most)
        ready = wait_for_any([*listeners, *self.pool.descriptors()], seconds)
        if self.signals.descriptor in ready:
            self.signals.drain()
        if heard in ready:
            with self.database:
                self._note_woken(self.notifier.drain())

    def _note_woken(self, woken: bool) -> None:
        if woken:
            heard = self.notifier.take_heard()
            self.polling.request(heard)
            self.pass_on.note_heard(heard)

    def _load(self) -> Load:
        memory = resident_bytes() + self.pool.memory()
        trouble = self.recorder.salvage.trouble(after=LONGEST_UNRECORDED)
        return Load(self.dispatcher.running, self.recorder.finished, memory, trouble)
