"""Problems in plain text, each with a remedy; the worst first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..brokers import get_broker
from ..lifecycle import ResultStatus, WorkerStatus
from ..models import Result
from ..schedules.firing import next_due
from .counts import Count
from .formatting import duration_text
from .hints import prune, resume_queue, start_worker
from .queues import QueueStats, queue_stats
from .statistics import Point, Span, finished_by_queue, series, total, usual_failure_rate
from .workers import WorkerState, workers

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["Severity", "Situation", "Subject", "Trouble", "troubles"]

# Seconds.
PACE_OVER = 600.0
LONGEST_BACKLOG = 1_800.0
LATE = 30.0
OLDEST_SNAPSHOT = 300.0
LATELY = timedelta(hours=1)
# How much later than it should a result may be pruned.
PRUNING_SLACK = 86_400.0
# When the failures of the last ten minutes are many: this number, this share, and this many times the previous share.
MANY_FAILURES, GREAT_SHARE, TIMES = 5, 0.05, 3.0


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


def troubles(situation: Situation) -> list[Trouble]:
    """Return the current problems of a backend, the worst first."""
    found = [trouble for look in LOOKS for trouble in look(situation)]
    return sorted(found, key=lambda trouble: list(Severity).index(trouble.severity))


def _no_worker(situation: Situation) -> Iterator[Trouble]:
    if situation.alive:
        return
    ready = sum(queue.ready.number for queue in situation.queues)
    yield Trouble(
        "no_worker",
        Severity.CRITICAL if ready else Severity.WARNING,
        Subject.WORKER,
        ngettext(
            "No worker is alive, and %(number)s job is ready.",
            "No worker is alive, and %(number)s jobs are ready.",
            ready,
        )
        % {"number": f"{ready:,}"},
        _("Start a worker."),
        start_worker(situation.backend),
    )


def _unheard_queues(situation: Situation) -> Iterator[Trouble]:
    unheard = [queue for queue in situation.queues if queue.ready and not queue.workers and not queue.paused]
    if not unheard or not situation.alive:
        return
    names = [queue.name for queue in unheard]
    ready = sum((queue.ready for queue in unheard), Count(0))
    yield Trouble(
        "unheard_queue",
        Severity.CRITICAL,
        Subject.QUEUE,
        ngettext(
            "No worker listens to the queue %(queues)s, which has ready jobs: %(ready)s.",
            "No worker listens to %(number)d queues that have ready jobs: %(ready)s in %(queues)s.",
            len(names),
        )
        % {"number": len(names), "ready": ready, "queues": ", ".join(_("“%s”") % name for name in names)},
        _("Start a worker for them, or add them to the --queues of a running one."),
        start_worker(situation.backend, ",".join(names)),
        names[0] if len(names) == 1 else "",
    )


def _backlogs(situation: Situation) -> Iterator[Trouble]:
    listened = [queue for queue in situation.queues if queue.ready and queue.workers and not queue.paused]
    old = [queue for queue in listened if (queue.oldest_ready_seconds or 0.0) > LATE]
    if not old:
        return
    finished = finished_by_queue(PACE_OVER, situation.backend)
    for queue in old:
        pace = finished.get(queue.name, 0) / PACE_OVER
        # Without a known rate it takes at least as long as the observed time.
        seconds = queue.ready.number / pace if pace else max(PACE_OVER, queue.oldest_ready_seconds or 0.0)
        if seconds > LONGEST_BACKLOG or not pace:
            yield _backlog(queue, pace, seconds)


def _backlog(queue: QueueStats, pace: float, seconds: float) -> Trouble:
    facts = {"queue": queue.name, "number": queue.ready, "time": duration_text(seconds)}
    # All ready jobs have arrived since the oldest of them did.
    grows = queue.ready.number / max(1.0, queue.oldest_ready_seconds or 0.0) > pace
    if not pace:
        text = _("The queue “%(queue)s” has %(number)s jobs ready, and none has finished in the last ten minutes.")
    elif grows:
        text = _("The backlog of the queue “%(queue)s” grows: its %(number)s ready jobs would take %(time)s.")
    else:
        text = _("The %(number)s ready jobs of the queue “%(queue)s” would take %(time)s at the current rate.")
    return Trouble(
        "backlog",
        Severity.WARNING,
        Subject.QUEUE,
        text % facts,
        _("Start more workers, raise their --concurrency, or check what the running jobs are waiting for."),
        queue=queue.name,
    )


def _paused_queues(situation: Situation) -> Iterator[Trouble]:
    for queue in situation.queues:
        if queue.paused:
            yield Trouble(
                "paused_queue",
                Severity.WARNING,
                Subject.QUEUE,
                _("The queue “%(queue)s” is paused, with %(number)s jobs ready.")
                % {"queue": queue.name, "number": queue.ready},
                _("Resume it when the reason for the pause is over."),
                resume_queue(situation.backend, queue.name),
                queue.name,
            )


def _stale_workers(situation: Situation) -> Iterator[Trouble]:
    for worker in situation.workers:
        if worker.stale:
            yield Trouble(
                "stale_worker",
                Severity.CRITICAL,
                Subject.WORKER,
                _("The worker %(worker)s has not reported for %(time)s.")
                % {"worker": worker.id, "time": duration_text(worker.heartbeat_age)},
                _("Check its host %(host)s. The other workers make its jobs ready again.") % {"host": worker.host},
            )


def _unrecorded(situation: Situation) -> Iterator[Trouble]:
    for worker in situation.alive:
        if worker.trouble:
            yield Trouble(
                "unrecorded",
                Severity.CRITICAL,
                Subject.WORKER,
                _("The worker %(worker)s cannot record how jobs ended: %(trouble)s.")
                % {"worker": worker.id, "trouble": worker.trouble},
                _("Find the database session that holds a lock, or check the worker's log."),
            )


def _lost_workers(situation: Situation) -> Iterator[Trouble]:
    since = situation.broker.dialect.now() - LATELY
    lost = [
        worker.host
        for worker in situation.workers
        if worker.status == WorkerStatus.LOST and worker.stopped_at is not None and worker.stopped_at > since
    ]
    if lost:
        yield Trouble(
            "lost_workers",
            Severity.WARNING,
            Subject.WORKER,
            ngettext(
                "%(number)d worker was lost in the last hour, on %(hosts)s.",
                "%(number)d workers were lost in the last hour, on %(hosts)s.",
                len(lost),
            )
            % {"number": len(lost), "hosts": ", ".join(sorted(set(lost)))},
            _("Check whether the kernel killed them because they ran out of memory, or the host went down."),
        )


def _late_jobs(situation: Situation) -> Iterator[Trouble]:
    if (late := _late_by(situation.broker.next_due())) is not None:
        yield Trouble(
            "late_jobs",
            Severity.CRITICAL,
            Subject.JOB,
            _("A scheduled job has been due for %(time)s, and no worker has made it ready.") % {"time": late},
            _("Start a worker, or check the log of a running one for what it is waiting for."),
            start_worker(situation.backend),
        )


def _late_schedules(situation: Situation) -> Iterator[Trouble]:
    if (late := _late_by(next_due(situation.broker))) is not None:
        yield Trouble(
            "late_schedules",
            Severity.CRITICAL,
            Subject.SCHEDULE,
            _("A schedule has been due for %(time)s, and no worker has enqueued its job.") % {"time": late},
            _("Start a worker without --no-scheduler, or check the log of a running one for what it is waiting for."),
            start_worker(situation.backend),
        )


def _late_by(seconds_until_due: float | None) -> str | None:
    """Return how long something has been due, as text, if that is too long."""
    if seconds_until_due is None or -seconds_until_due <= LATE:
        return None
    return duration_text(-seconds_until_due)


def _failures(situation: Situation) -> Iterator[Trouble]:
    recent = total(situation.hour[-10:])
    share = recent.failure_rate or 0.0
    if recent.failed < MANY_FAILURES or share < GREAT_SHARE:
        return
    if share > TIMES * usual_failure_rate(situation.hour[-10].at, situation.backend):
        yield Trouble(
            "failures",
            Severity.CRITICAL,
            Subject.RESULT,
            _("%(number)s jobs failed in the last ten minutes: %(share)s of those that finished.")
            % {"number": f"{recent.failed:,}", "share": f"{share:.0%}"},
            _("Look at the newest failures; retry them when the cause is fixed."),
        )


def _snapshot(situation: Situation) -> Iterator[Trouble]:
    oldest = situation.broker.dialect.oldest_snapshot()
    if oldest is not None and oldest.seconds > OLDEST_SNAPSHOT:
        yield Trouble(
            "pinned_snapshot",
            Severity.WARNING,
            Subject.QUEUE,
            _("Session %(session)s of %(user)s has kept a transaction open for %(time)s: vacuum cannot clean up.")
            % {"session": oldest.session, "user": oldest.user, "time": duration_text(oldest.seconds)},
            _("End the transaction where it was started; if it was forgotten, terminate its session in the database."),
            f"SELECT pg_terminate_backend({oldest.session})",
        )


def _unpruned(situation: Situation) -> Iterator[Trouble]:
    options, now = situation.broker.options, situation.broker.dialect.now()
    for status in (ResultStatus.SUCCESSFUL, ResultStatus.FAILED):
        ttl = options.ttl(status)
        rows: QuerySet[Result] = Result.objects.using(situation.broker.using).filter(status=status)
        oldest = rows.order_by("finished_at").values_list("backend", "finished_at").first()
        if ttl is None or oldest is None or oldest[0] != situation.backend:
            continue
        age = (now - oldest[1]).total_seconds()
        if age > ttl + PRUNING_SLACK:
            yield Trouble(
                "unpruned",
                Severity.WARNING,
                Subject.RESULT,
                _("Results are not being pruned: the oldest finished %(age)s ago, and should be kept for %(ttl)s.")
                % {"age": duration_text(age), "ttl": duration_text(ttl)},
                _("Workers prune automatically: check whether one is running. Prune a large backlog by hand."),
                prune(situation.backend),
            )
            return


LOOKS = (
    _no_worker, _unheard_queues, _stale_workers, _unrecorded, _late_jobs, _late_schedules, _failures, _backlogs,
    _paused_queues, _lost_workers, _snapshot, _unpruned,
)  # fmt: skip
