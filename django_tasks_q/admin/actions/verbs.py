"""An operator's actions on jobs, results and workers."""

import uuid
from collections.abc import Callable, Iterator, Sequence

from django.contrib.admin.models import DELETION
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from ...control import jobs, workers
from ...control.queues import find_refusal
from ...exceptions import WorkerNotFound
from ..display import Text
from .base import Effects, Row, Skipped, Verb

__all__ = ["CANCEL", "DELETE", "DRAIN", "RETRY", "RUN_NOW", "STOP", "moved"]


# cancel


def _cancel(ids: list[uuid.UUID], alias: str, username: str) -> Effects:
    return jobs.cancel(ids, backend=alias, by=username)._asdict()


def _not_cancelled(rows: Sequence[Row | Skipped]) -> Iterator[str]:
    yield ngettext(
        "%(count)d job was skipped: it has finished in the meantime.",
        "%(count)d jobs were skipped: they have finished in the meantime.",
        len(rows),
    ) % {"count": len(rows)}


CANCEL = Verb(
    act=_cancel,
    done={
        "done": ngettext_lazy("%(count)d job was cancelled.", "%(count)d jobs were cancelled.", "count"),
        "asked": ngettext_lazy(
            "%(count)d running job was asked to stop.", "%(count)d running jobs were asked to stop.", "count"
        ),
    },
    entry=gettext_lazy("Cancelled."),
    left=_not_cancelled,
)


# retry


def _retry(ids: list[uuid.UUID], alias: str, username: str) -> Effects:
    return {"done": jobs.retry(ids, backend=alias)}


def _gone(rows: Sequence[Row | Skipped]) -> Iterator[str]:
    yield ngettext(
        "%(count)d result was skipped: it is no longer in the history.",
        "%(count)d results were skipped: they are no longer in the history.",
        len(rows),
    ) % {"count": len(rows)}


RETRY = Verb(
    act=_retry,
    done={
        "done": ngettext_lazy(
            "%(count)d result was put back into its queue.",
            "%(count)d results were put back into their queues.",
            "count",
        )
    },
    entry=gettext_lazy("Retried: put back into its queue."),
    left=_gone,
)


# delete


def _delete(ids: list[uuid.UUID], alias: str, username: str) -> Effects:
    # Results that were pruned in the meantime count as deleted.
    jobs.delete(ids, backend=alias)
    return {"done": set(ids)}


DELETE = Verb(
    act=_delete,
    done={"done": ngettext_lazy("%(count)d result was deleted.", "%(count)d results were deleted.", "count")},
    entry="",
    left=_gone,
    flag=DELETION,
)


# run now


def _run_now(ids: list[uuid.UUID], alias: str, username: str) -> Effects:
    return {"done": jobs.run_now(ids, backend=alias)}


def _not_scheduled(rows: Sequence[Row | Skipped]) -> Iterator[str]:
    yield ngettext(
        "%(count)d job was skipped: it was not scheduled for later.",
        "%(count)d jobs were skipped: they were not scheduled for later.",
        len(rows),
    ) % {"count": len(rows)}


RUN_NOW = Verb(
    act=_run_now,
    done={"done": ngettext_lazy("%(count)d job is ready now.", "%(count)d jobs are ready now.", "count")},
    entry=gettext_lazy("Made ready early."),
    left=_not_scheduled,
)


# move


def _not_moved(number: int) -> str:
    return ngettext(
        "%(count)d job was skipped: it is running, or has finished in the meantime.",
        "%(count)d jobs were skipped: they are running, or have finished in the meantime.",
        number,
    ) % {"count": number}


def _refusal(queue: str | None, alias: str) -> str | None:
    return None if queue is None else find_refusal(queue, backend=alias)


def moved(queue: str | None, priority: int | None) -> Verb:
    """Return the verb that moves jobs to another queue, another priority, or both."""

    def act(ids: list[uuid.UUID], alias: str, username: str) -> Effects:
        if _refusal(queue, alias):
            return {"done": set()}
        return {"done": jobs.move(ids, backend=alias, to_queue=queue, priority=priority)}

    def left(rows: Sequence[Row | Skipped]) -> Iterator[str]:
        refusals = {alias: _refusal(queue, alias) for alias in sorted({row.backend for row in rows})}
        yield from (f"{alias}: {refusal}" for alias, refusal in refusals.items() if refusal)
        if others := sum(not refusals[row.backend] for row in rows):
            yield _not_moved(others)

    words = [] if queue is None else [_("queue “%s”") % queue]
    words += [] if priority is None else [_("priority %d") % priority]
    return Verb(
        act=act,
        done={"done": ngettext_lazy("%(count)d job was moved.", "%(count)d jobs were moved.", "count")},
        entry=_("Moved: %s.") % ", ".join(words),
        left=left,
    )


# workers


def asked(ask: Callable[..., bool], done: Text, entry: Text) -> Verb:
    """Return the verb that sends workers a request."""

    def act(ids: list[str], alias: str, username: str) -> Effects:
        return {"done": {worker_id for worker_id in ids if _ask(ask, worker_id, alias)}}

    return Verb(act=act, done={"done": done}, entry=entry, left=_not_asked)


def _ask(ask: Callable[..., bool], worker_id: str, alias: str) -> bool:
    try:
        return ask(worker_id, backend=alias)
    except WorkerNotFound:
        return False


def _not_asked(rows: Sequence[Row | Skipped]) -> Iterator[str]:
    yield ngettext(
        "%(count)d worker was skipped: it is not running, or has already been asked.",
        "%(count)d workers were skipped: they are not running, or have already been asked.",
        len(rows),
    ) % {"count": len(rows)}


DRAIN = asked(
    workers.drain,
    ngettext_lazy(
        "%(count)d worker will exit when its jobs have finished.",
        "%(count)d workers will exit when their jobs have finished.",
        "count",
    ),
    gettext_lazy("Asked to drain."),
)
STOP = asked(
    workers.stop,
    ngettext_lazy("%(count)d worker is stopping now.", "%(count)d workers are stopping now.", "count"),
    gettext_lazy("Asked to stop."),
)
