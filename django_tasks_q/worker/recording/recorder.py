"""Records how jobs ended, and announces it once that is committed."""

import logging
from collections.abc import Iterable, Sequence, Set

from django.db import Error

from ...brokers.base import Broker
from ...brokers.batches import SMALL, weight_of
from ...brokers.failures import UNREADABLE, Failure
from ...brokers.outcomes import expired_outcome, released_outcome, released_run
from ...brokers.values import ClaimedJob, Outcome, Recorded
from ...services.base import Service
from ...services.registry import Registry
from ...task_options import EXPIRES_AT
from .events import Announcer
from .log_book import LogBook
from .salvage import Ended, Salvage

__all__ = ["Ended", "Recorder", "ReportWriter"]

logger = logging.getLogger("django_tasks_q.worker")
BATCH = 1_000
NOTHING = Recorded()
# Bytes of payload above which no new job should begin before some of it is written.
LARGEST_HELD = 8 * 1_048_576


class Recorder:
    """Holds outcomes until the database has them: none is dropped because a connection was."""

    def __init__(self, broker: Broker, registry: Registry) -> None:
        self.broker = broker
        self.registry = registry
        self.announcer = Announcer(registry)
        self.held: list[Ended] = []
        # Outcomes that could not be recorded with the others.
        self.salvage = Salvage(broker)
        # Bytes of large payloads in the outcomes held.
        self._weight = 0
        # How often in a row recording has failed; from the second time on locked rows are skipped.
        self._failures = 0
        # How many of those the open transaction records; and the progress of jobs that it writes.
        self._written = 0
        self._told: dict[str, str] = {}
        # The progress that running jobs have reported, and that is not written yet: JSON by id.
        self.progress: dict[str, str] = {}
        # … and their log lines.
        self.lines = LogBook(broker.options.max_logs)
        self.finished = 0
        # Whether the last give_back() has left some jobs, because another session has locked them.
        self.left_behind = False
        # A commit may have succeeded although its connection broke: then a refusal may mean that it is already
        # recorded.
        self.uncertain = False

    def give_back(self, *, but: Iterable[ClaimedJob] = ()) -> set[str]:
        """Make jobs READY that this worker holds, except these runs; return the ids of those it still owns."""
        # An unconfirmed commit may have handed a job back and claimed it again: that is another run.
        known = {(job.id, job.attempt) for job in but}
        self.left_behind = False
        held = self.broker.running_under(self.registry.worker_id, limit=len(known) + BATCH)
        while unknown := {job_id: attempt for job_id, attempt in held.items() if (job_id, attempt) not in known}:
            self._give_back(unknown)
            before, held = held, self.broker.running_under(self.registry.worker_id, limit=len(known) + BATCH)
            if held == before:
                # Another session has locked them.
                self.left_behind = True
                break
        return {job_id for job_id, attempt in held.items() if (job_id, attempt) in known}

    def _give_back(self, attempts: dict[str, int]) -> None:
        """Make jobs READY without reading them, except those that are to be cancelled, which end here."""
        cancelled = self.broker.find_cancelled(self.registry.worker_id, attempts)
        if cancelled:
            self._give_back_cancelled(cancelled, attempts)
        outcomes = [released_run(job_id, attempt) for job_id, attempt in attempts.items()]
        self.broker.finish(self.registry.worker_id, outcomes, skip_locked=True)

    def _give_back_cancelled(self, cancelled: Set[str], attempts: dict[str, int]) -> None:
        others = self.broker.running_under(self.registry.worker_id, limit=len(attempts) + BATCH).keys() - cancelled
        try:
            jobs = self.broker.held_by(self.registry.worker_id, limit=len(cancelled), but=others)
        except UNREADABLE:
            logger.exception("Jobs to be cancelled cannot be read; they end without an event.")
        else:
            self.release(jobs)

    def release(self, jobs: Sequence[ClaimedJob]) -> None:
        """Make jobs READY that no child has begun. Those that were to be cancelled end here, which is announced.

        Jobs that another session has locked are tried again.
        """
        recorded = self.broker.release(self.registry.worker_id, jobs, skip_locked=True)
        ended = [(job, recorded.actual(released_outcome(job))) for job in jobs if job.id in recorded.cancelled]
        self.finished += len(ended)
        for job, outcome in ended:
            self.announcer.note_recorded(job, outcome)
        self.salvage.hold_back((job, released_outcome(job)) for job in jobs if job.id in recorded.locked)

    def start_over(self) -> None:
        """Drop everything, and register the worker under a new id."""
        self.held.clear()
        self._weight = 0
        self.salvage.clear()
        self.progress.clear()
        self.lines.clear()
        # Its jobs are not given back: a LOST worker is rescued, and only a rescue charges jobs that had begun.
        self.registry.register()

    def record_reports(self) -> None:
        """Write the progress and the log lines of running jobs that have come since the last time, if any."""
        self.broker.save_progress(self.registry.worker_id, self.progress, skip_locked=True)
        self.progress.clear()
        self._record_lines()

    def _record_lines(self) -> None:
        try:
            self.broker.append_logs(self.registry.worker_id, self.lines.due(), skip_locked=True)
        except Error as error:
            if self.broker.dialect.failure(error) in (Failure.GONE, Failure.LOCKED):
                raise
            logger.exception("The database refused log lines of jobs; they are lost.")
        self.lines.settle()

    @property
    def is_empty(self) -> bool:
        """Whether everything is in the database."""
        return not self.held and not len(self.salvage)

    @property
    def is_full(self) -> bool:
        """Whether no more jobs should begin before some of what is held is written."""
        is_heavy = self._weight + self.lines.weight > LARGEST_HELD
        return is_heavy or (bool(self.salvage.parts) and len(self.salvage) > BATCH)

    def unrecorded(self) -> list[Ended]:
        """Return everything that is not in the database."""
        return [*self.held, *self.salvage]

    def hold(self, job: ClaimedJob, outcome: Outcome) -> None:
        self.lines.end(job)
        self._weight += _weight(outcome)
        self.held.append((job, outcome))

    def drop_expired(self, jobs: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        """Return the jobs that may begin; record the others as expired: they are too late for their schedule."""
        limited = [job for job in jobs if EXPIRES_AT in job.options]
        if not limited:
            return list(jobs)
        clock = self.registry.clock.ahead
        late = {job.id: expired for job in limited if (expired := expired_outcome(job, clock)) is not None}
        if not late:
            return list(jobs)
        self.held += [(job, late[job.id]) for job in jobs if job.id in late]
        return [job for job in jobs if job.id not in late]

    def note_recorded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """A child has recorded this one itself."""
        self.lines.drop(job)
        self.finished += 1
        self.announcer.note_recorded(job, outcome)

    def note_superseded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """A child has found that this job belongs to another worker."""
        self.lines.drop(job)
        self.announcer.note_superseded(job, outcome)

    def record(self) -> Recorded:
        """Write what is held, in the caller's transaction; return what was recorded.

        When that transaction commits, call settle(). What comes in the meantime is not part of it.
        """
        outcomes = [outcome for _, outcome in self.held]
        self._written, self._told = len(outcomes), dict(self.progress)
        if not outcomes:
            return NOTHING
        # Before the jobs that have ended are out of reach; if one ends meanwhile, its last lines are not here.
        self.broker.save_progress(self.registry.worker_id, self._told, skip_locked=True)
        skip = self._failures > 0
        self.broker.append_logs(self.registry.worker_id, self.lines.due(), skip_locked=skip)
        return self.broker.finish(self.registry.worker_id, outcomes, skip_locked=skip)

    def note_failure(self, error: Exception) -> None:
        """Recording has failed; it is never tried in the same way a third time.

        After a lock, or a lost connection: once more, without locked rows. After any other failure: in parts.
        """
        if not self._written:
            # The connection broke before anything was sent.
            return
        self._failures += 1
        passes_by = isinstance(error, Error) and self.broker.dialect.failure(error) in (Failure.GONE, Failure.LOCKED)
        if passes_by and self._failures < 2:
            return
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        logger.warning(
            "%s outcomes could not be recorded together (%s); recording them in parts.", self._written, cause
        )
        self.salvage.add(self.held[: self._written], cause)
        self.held = self.held[self._written :]
        self._weigh()
        self._written = self._failures = 0

    def settle(self, recorded: Recorded) -> list[Outcome]:
        """Drop what is now in the database; return the jobs that will run again."""
        ended = self.held[: self._written]
        if not ended:
            self.uncertain = False
            return []
        # While it is held: the connection may break again.
        known = self._known(ended, recorded)
        self.held = self.held[self._written :]
        self._written = self._failures = 0
        self._weigh()
        told = self._told
        self.progress = {job_id: text for job_id, text in self.progress.items() if told.get(job_id) != text}
        self.lines.settle()
        if recorded.locked:
            self.salvage.hold_back(item for item in ended if item[1].id in recorded.locked)
            ended = [item for item in ended if item[1].id not in recorded.locked]
        self._announce(ended, recorded, known)
        self.uncertain = False
        if not recorded.retried:
            return []
        return [outcome for _, outcome in ended if not outcome.is_final and outcome.id in recorded.retried]

    def _weigh(self) -> None:
        if self._weight:
            self._weight = sum(_weight(outcome) for _, outcome in self.held)

    def run_salvage(self) -> list[Outcome]:
        """Try again what could not be recorded; return the jobs that will run again."""
        retried: list[Outcome] = []
        if len(self.salvage):
            self._record_lines()
            for ended, recorded in self.salvage.run(self.registry.worker_id):
                self._announce(ended, recorded, self._known(ended, recorded))
                retried += [outcome for _, outcome in ended if outcome.id in recorded.retried]
        return retried

    def _known(self, ended: Iterable[Ended], recorded: Recorded) -> Set[str]:
        """Return the ids of those that are in the database."""
        known = recorded.finished | recorded.retried
        if not self.uncertain:
            return known
        return known | {outcome.id for _, outcome in ended if outcome.id not in known and self._stands(outcome)}

    def _announce(self, ended: Iterable[Ended], recorded: Recorded, known: Set[str]) -> None:
        if recorded.cancelled:
            ended = [(job, recorded.actual(outcome)) for job, outcome in ended]
        for job, outcome in ended:
            if outcome.id in known:
                self.finished += outcome.is_final
                self.announcer.note_recorded(job, outcome)
            else:
                self.announcer.note_superseded(job, outcome)

    def _stands(self, outcome: Outcome) -> bool:
        return self.broker.is_recorded(self.registry.worker_id, outcome)


class ReportWriter(Service):
    """Writes the progress and the log lines of running jobs once a second, if there are any."""

    interval = 1.0

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def run(self) -> None:
        self.recorder.record_reports()


def _weight(outcome: Outcome) -> int:
    """Return the bytes of the large parts of an outcome: the rest is small."""
    if outcome.error is None and (outcome.return_value is None or len(outcome.return_value) < SMALL):
        return 0
    return weight_of(outcome)
