"""Workers: none is alive, or one is lost, does not report, or cannot record."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...lifecycle import WorkerStatus
from ..formatting import duration_text
from ..hints import start_worker
from .base import Severity, Situation, Subject, Trouble

__all__ = ["lost_workers", "no_worker", "stale_workers", "unrecorded"]

LATELY = timedelta(hours=1)


def no_worker(situation: Situation) -> Iterator[Trouble]:
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


def stale_workers(situation: Situation) -> Iterator[Trouble]:
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


def unrecorded(situation: Situation) -> Iterator[Trouble]:
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


def lost_workers(situation: Situation) -> Iterator[Trouble]:
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
