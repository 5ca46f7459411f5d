"""An operator's verbs, done to what was selected: the deed, the words about it, and the entry in the history."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from ..control import jobs, workers
from ..exceptions import WorkerNotFound
from .backends import backend_aliases

__all__ = [
    "CANCEL",
    "DELETE",
    "DRAIN",
    "RETRY",
    "RUN_NOW",
    "STOP",
    "Verb",
    "act",
    "load",
    "moved",
    "perform",
    "record",
    "tell",
]


# Which rows something was done to.
Deeds = Mapping[str, Set[Any]]


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done to jobs, results or workers.

    act: does it to the ids of one backend for a user, and returns the ids that it was done to, by what was done.
    done: says to how many that was; entry: says what, in the history; left: says why the others were left alone.
    """

    act: Callable[[list[Any], str, str], Deeds]
    done: Mapping[str, Any]
    entry: Any
    left: Callable[[Sequence[Any]], Iterable[str]]
    flag: int = CHANGE


def load(queryset: QuerySet[Any]) -> list[Any]:
    """Return the rows that were chosen one by one, without payloads."""
    return list(queryset.only("id", "backend", "task_path", "status"))


def perform(request: HttpRequest, verb: Verb, rows: Sequence[Any]) -> set[Any]:
    """Do it; write the history; tell the user how many were touched, how many not, and why. Return the ids touched."""
    deeds = act(request, verb, rows)
    touched = set().union(*deeds.values())
    numbers = {deed: len(ids) for deed, ids in deeds.items()}
    tell(request, verb, numbers, [row for row in rows if row.pk not in touched])
    return touched


def act(request: HttpRequest, verb: Verb, rows: Sequence[Any]) -> Deeds:
    """Do it, and write the history; return the ids of the rows that it was done to, by what was done."""
    username = request.user.get_username()
    known = backend_aliases()
    deeds: dict[str, set[Any]] = {deed: set() for deed in verb.done}
    for alias, keys in _by_backend(rows).items():
        if alias in known:
            for deed, touched in verb.act(keys, alias, username).items():
                deeds[deed] |= touched
    if done := [row for row in rows if any(row.pk in touched for touched in deeds.values())]:
        record(request, done, verb.flag, verb.entry)
    return deeds


def tell(request: HttpRequest, verb: Verb, done: Mapping[str, int], left: Sequence[Any]) -> None:
    """Tell the user to how many what was done, to how many nothing, and why."""
    for deed, words in verb.done.items():
        if number := done.get(deed):
            messages.success(request, words % {"count": number})
    for text in _left_alone(verb, left, backend_aliases()):
        messages.warning(request, text)


def record(request: HttpRequest, rows: Sequence[Any], flag: int, entry: object) -> None:
    """Write who did what to which rows, now, into the admin's history."""
    LogEntry.objects.log_actions(request.user.pk, rows, flag, str(entry))  # type: ignore[arg-type]


def _by_backend(rows: Iterable[Any]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.backend].append(row.pk)
    return groups


def _left_alone(verb: Verb, rows: Sequence[Any], known: list[str]) -> Iterator[str]:
    for alias in sorted({row.backend for row in rows}.difference(known)):
        yield _("The backend “%s” is not in TASKS any more: its rows were left alone.") % alias
    if ours := [row for row in rows if row.backend in known]:
        yield from verb.left(ours)


# cancel


def _cancel(ids: list[uuid.UUID], alias: str, username: str) -> Deeds:
    return jobs.cancel(ids, backend=alias, by=username)._asdict()


def _not_cancelled(rows: Sequence[Any]) -> Iterator[str]:
    yield ngettext(
        "%(count)d job was left alone: it has finished meanwhile.",
        "%(count)d jobs were left alone: they have finished meanwhile.",
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


def _retry(ids: list[uuid.UUID], alias: str, username: str) -> Deeds:
    return {"done": jobs.retry(ids, backend=alias)}


def _gone(rows: Sequence[Any]) -> Iterator[str]:
    yield ngettext(
        "%(count)d result was left alone: it is not among the results any more.",
        "%(count)d results were left alone: they are not among the results any more.",
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


def _delete(ids: list[uuid.UUID], alias: str, username: str) -> Deeds:
    # What was pruned meanwhile is deleted all the same.
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


def _run_now(ids: list[uuid.UUID], alias: str, username: str) -> Deeds:
    return {"done": jobs.run_now(ids, backend=alias)}


def _not_scheduled(rows: Sequence[Any]) -> Iterator[str]:
    yield ngettext(
        "%(count)d job was left alone: it was not scheduled for later.",
        "%(count)d jobs were left alone: they were not scheduled for later.",
        len(rows),
    ) % {"count": len(rows)}


RUN_NOW = Verb(
    act=_run_now,
    done={"done": ngettext_lazy("%(count)d job is ready now.", "%(count)d jobs are ready now.", "count")},
    entry=gettext_lazy("Made ready before its time."),
    left=_not_scheduled,
)


# move


def _not_moved(rows: Sequence[Any]) -> Iterator[str]:
    yield ngettext(
        "%(count)d job was left alone: it runs, or has finished meanwhile.",
        "%(count)d jobs were left alone: they run, or have finished meanwhile.",
        len(rows),
    ) % {"count": len(rows)}


def moved(queue: str | None, priority: int | None) -> Verb:
    """Return the verb that gives jobs another queue, another priority, or both."""

    def act(ids: list[uuid.UUID], alias: str, username: str) -> Deeds:
        return {"done": jobs.move(ids, backend=alias, to_queue=queue, priority=priority)}

    words = [] if queue is None else [_("queue “%s”") % queue]
    words += [] if priority is None else [_("priority %d") % priority]
    return Verb(
        act=act,
        done={"done": ngettext_lazy("%(count)d job was moved.", "%(count)d jobs were moved.", "count")},
        entry=_("Moved: %s.") % ", ".join(words),
        left=_not_moved,
    )


# workers


def asked(ask: Callable[..., bool], done: Any, entry: Any) -> Verb:
    """Return the verb that asks workers for something."""

    def act(ids: list[str], alias: str, username: str) -> Deeds:
        return {"done": {worker_id for worker_id in ids if _ask(ask, worker_id, alias)}}

    return Verb(act=act, done={"done": done}, entry=entry, left=_not_asked)


def _ask(ask: Callable[..., bool], worker_id: str, alias: str) -> bool:
    try:
        return ask(worker_id, backend=alias)
    except WorkerNotFound:
        return False


def _not_asked(rows: Sequence[Any]) -> Iterator[str]:
    yield ngettext(
        "%(count)d worker was left alone: it does not run, or has been asked already.",
        "%(count)d workers were left alone: they do not run, or have been asked already.",
        len(rows),
    ) % {"count": len(rows)}


DRAIN = asked(
    workers.drain,
    ngettext_lazy("%(count)d worker ends when its jobs have.", "%(count)d workers end when their jobs have.", "count"),
    gettext_lazy("Asked to drain."),
)
STOP = asked(
    workers.stop,
    ngettext_lazy("%(count)d worker stops now.", "%(count)d workers stop now.", "count"),
    gettext_lazy("Asked to stop."),
)
