"""Queues: nobody listens, the backlog takes too long, or it is paused."""

from collections.abc import Iterator

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..counts import Count
from ..formatting import duration_text
from ..hints import resume_queue, start_worker
from ..queues import QueueStats
from ..statistics import finished_by_queue
from .base import LATE, Severity, Situation, Subject, Trouble

__all__ = ["backlogs", "paused_queues", "unheard_queues"]

# Seconds.
PACE_OVER = 600.0
LONGEST_BACKLOG = 1_800.0


def unheard_queues(situation: Situation) -> Iterator[Trouble]:
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


def backlogs(situation: Situation) -> Iterator[Trouble]:
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


def paused_queues(situation: Situation) -> Iterator[Trouble]:
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
