"""Records how jobs ended, and says so once it stands."""

import logging
from collections.abc import Callable, Iterable, Sequence, Set

from django.db import DatabaseError

from ..brokers.base import Broker
from ..brokers.losses import untouched_outcome
from ..brokers.values import ClaimedJob, Outcome, Recorded
from ..services.registry import Registry
from .database import GONE
from .events import refused, send_recorded, send_superseded
from .log_book import LogBook
from .outcomes import expired_outcome

__all__ = ["Ended", "Recorder"]

logger = logging.getLogger("django_tasks_q.worker")
BATCH = 1_000
Ended = tuple[ClaimedJob, Outcome]
NOTHING = Recorded()


class Recorder:
    """Holds outcomes until the database has them: none is dropped because a connection was.

    tell: called with the job and the error of each that FAILED without a child that could say so.
    count: called with each run whose end stands in the database.
    """

    def __init__(
        self,
        broker: Broker,
        registry: Registry,
        tell: Callable[[ClaimedJob, str], None],
        count: Callable[[ClaimedJob, Outcome], None],
    ) -> None:
        self.broker = broker
        self.registry = registry
        self.tell = tell
        self.count = count
        self.held: list[Ended] = []
        # Of those, how many the open transaction records; and what it says of how far jobs are.
        self._written = 0
        self._told: dict[str, str] = {}
        # What running jobs have said of how far they are, and is not written yet: JSON by id.
        self.progress: dict[str, str] = {}
        # … and what they have logged.
        self.lines = LogBook(broker.options.max_logs)
        self.finished = 0
        # A commit may have succeeded although its connection broke: then a refusal may mean that it is recorded.
        self.uncertain = False

    def give_back(self, *, but: Iterable[ClaimedJob] = ()) -> set[str]:
        """Make READY what is RUNNING under this worker, except these runs; return the ids of those still its own."""
        # A commit of which nobody was told may have handed a job back and claimed it again: that is another run.
        known = {(job.id, job.attempt) for job in but}
        while True:
            held = self.broker.held_by(self.registry.worker_id, limit=len(known) + BATCH)
            unknown = [job for job in held if (job.id, job.attempt) not in known]
            if not unknown:
                return {job.id for job in held}
            self.release(unknown)

    def release(self, jobs: Sequence[ClaimedJob]) -> None:
        """Make READY what no child has begun; what was to be cancelled has ended with that, which is said here."""
        recorded = self.broker.release(self.registry.worker_id, jobs)
        ended = [(job, recorded.actual(untouched_outcome(job))) for job in jobs if job.id in recorded.cancelled]
        self.finished += len(ended)
        for job, outcome in ended:
            self.note_ended(job, outcome)

    def start_over(self) -> None:
        """Let go of everything, and register the worker anew."""
        self.held.clear()
        self.progress.clear()
        self.lines.clear()
        # It may have claimed more after the others had taken it for dead, and looked.
        self.give_back()
        self.registry.register()

    def record_reports(self) -> None:
        """Write how far running jobs are and what they log, where there is anything since the last time."""
        self.broker.note_progress(self.registry.worker_id, self.progress)
        self.progress.clear()
        self._record_lines()

    def _record_lines(self) -> None:
        try:
            self.broker.note_logs(self.registry.worker_id, self.lines.due())
        except GONE:
            raise
        except DatabaseError:
            logger.exception("What jobs have logged was refused; it is lost.")
        self.lines.settle()

    def hold(self, job: ClaimedJob, outcome: Outcome) -> None:
        self.lines.end(job)
        self.held.append((job, outcome))

    def drop_expired(self, jobs: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        """Return the jobs that may begin; hold the others' outcome: they have come too late for their schedule."""
        late = {job.id: expired for job in jobs if (expired := expired_outcome(job, self.registry.clock)) is not None}
        if not late:
            return list(jobs)
        self.held += [(job, late[job.id]) for job in jobs if job.id in late]
        return [job for job in jobs if job.id not in late]

    def note_recorded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """A child has recorded this one itself."""
        self.lines.drop(job)
        self.finished += 1
        self.count(job, outcome)
        send_recorded(self.registry.sender, job, outcome)

    def note_ended(self, job: ClaimedJob, outcome: Outcome) -> None:
        """An outcome stands in the database: say so, for a child too that cannot."""
        self.count(job, outcome)
        send_recorded(self.registry.sender, job, outcome)
        if outcome.unannounced and outcome.is_final and outcome.error is not None:
            self.tell(job, outcome.error)

    def note_superseded(self, job: ClaimedJob, outcome: Outcome) -> None:
        """A child has found that this job belongs to another worker."""
        self.lines.drop(job)
        send_superseded(self.registry.sender, job, outcome)

    def record(self) -> Recorded:
        """Write what is held, in the caller's transaction; return what was recorded.

        Where that transaction commits, settle() it. What comes in the meantime is not part of it.
        """
        outcomes = [outcome for _, outcome in self.held]
        self._written, self._told = len(outcomes), dict(self.progress)
        if not outcomes:
            return NOTHING
        # Before the jobs that have ended are out of reach; of one that ends meanwhile, the last lines are not here.
        self.broker.note_progress(self.registry.worker_id, self._told)
        self.broker.note_logs(self.registry.worker_id, self.lines.due())
        return self.broker.finish(self.registry.worker_id, outcomes)

    def settle(self, recorded: Recorded) -> list[Outcome]:
        """Let go of what stands in the database now; return those that will run again."""
        ended = self.held[: self._written]
        # While it is held: the connection may break again.
        known = self._known(ended, recorded)
        self.held = self.held[self._written :]
        if ended:
            told = self._told
            self.progress = {job_id: text for job_id, text in self.progress.items() if told.get(job_id) != text}
            self.lines.settle()
        self._announce(ended, recorded, known)
        self.uncertain = False
        return [outcome for _, outcome in ended if not outcome.is_final and outcome.id in recorded.retried]

    def record_singly(self) -> list[Outcome]:
        """Record what can be recorded, and return what will run again.

        What the database refuses ends as FAILED with its reason.
        """
        logger.exception("A batch of outcomes was refused; they are recorded one by one.")
        self._record_lines()
        retried: list[Outcome] = []
        while self.held:
            job, outcome = self.held[0]
            try:
                recorded = self.broker.finish(self.registry.worker_id, [outcome])
            except GONE:
                raise
            except DatabaseError as error:
                outcome = refused(outcome, error)
                recorded = self.broker.finish(self.registry.worker_id, [outcome])
            known = self._known([(job, outcome)], recorded)
            del self.held[0]
            self._announce([(job, outcome)], recorded, known)
            retried += [outcome] if outcome.id in recorded.retried else []
        self.uncertain = False
        return retried

    def _known(self, ended: Iterable[Ended], recorded: Recorded) -> Set[str]:
        """Return the ids of those that stand in the database."""
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
                self.note_ended(job, outcome)
            else:
                send_superseded(self.registry.sender, job, outcome)

    def _stands(self, outcome: Outcome) -> bool:
        return self.broker.is_recorded(self.registry.worker_id, outcome)
