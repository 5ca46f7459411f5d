"""An operator's verbs, done to what was selected: the deed, the words about it, and the entry in the history."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from ..control import jobs
from ..lifecycle import JobStatus
from ..models.job import Call
from ..monitoring.counts import BOUND
from .backends import backend_aliases

__all__ = ["CANCEL", "DELETE", "MOST_SELECTED", "RETRY", "Verb", "load", "perform", "record"]

# What one request can do. A list counts no further, so that "select all" selects no more than this.
MOST_SELECTED = BOUND


@dataclass(frozen=True, slots=True)
class Verb:
    """What can be done to jobs or results.

    act: does it to the ids of one backend for a user, and returns the ids that it was done to.
    done: says to how many; entry: says what, in the history; left: says why the others were left alone.
    """

    act: Callable[[list[uuid.UUID], str, str], set[uuid.UUID]]
    done: Any
    entry: Any
    left: Callable[[Sequence[Call]], Iterable[str]]
    flag: int = CHANGE


def load(request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
    """Return the rows that an action is about, without payloads: at most MOST_SELECTED; the user is told of others."""
    rows = list(queryset.only("id", "backend", "task_path", "status")[: MOST_SELECTED + 1])
    if len(rows) > MOST_SELECTED:
        text = _("There are more than %s: only the first were taken. Run the action again for the others.")
        messages.warning(request, text % number_format(MOST_SELECTED, force_grouping=True))
    return rows[:MOST_SELECTED]


def perform(request: HttpRequest, verb: Verb, rows: Sequence[Any]) -> set[uuid.UUID]:
    """Do it; write the history; tell the user how many were touched, how many not, and why. Return the ids touched."""
    username = request.user.get_username()
    known = backend_aliases()
    touched: set[uuid.UUID] = set()
    for alias, ids in _by_backend(rows).items():
        if alias in known:
            touched |= verb.act(ids, alias, username)
    if done := [row for row in rows if row.pk in touched]:
        record(request, done, verb.flag, verb.entry)
        messages.success(request, verb.done % {"count": len(done)})
    for text in _left_alone(verb, [row for row in rows if row.pk not in touched], known):
        messages.warning(request, text)
    return touched


def record(request: HttpRequest, rows: Sequence[Any], flag: int, entry: object) -> None:
    """Write who did what to which rows, now, into the admin's history."""
    LogEntry.objects.log_actions(request.user.pk, rows, flag, str(entry))  # type: ignore[arg-type]


def _by_backend(rows: Iterable[Any]) -> dict[str, list[uuid.UUID]]:
    groups: dict[str, list[uuid.UUID]] = defaultdict(list)
    for row in rows:
        groups[row.backend].append(row.pk)
    return groups


def _left_alone(verb: Verb, rows: list[Any], known: list[str]) -> Iterator[str]:
    for alias in sorted({row.backend for row in rows}.difference(known)):
        yield _("The backend “%s” is not in TASKS any more: its rows were left alone.") % alias
    if ours := [row for row in rows if row.backend in known]:
        yield from verb.left(ours)


# cancel


def _cancel(ids: list[uuid.UUID], alias: str, username: str) -> set[uuid.UUID]:
    return jobs.cancel(ids, backend=alias, by=username)


def _not_cancelled(rows: Sequence[Any]) -> Iterator[str]:
    running = sum(row.status == JobStatus.RUNNING for row in rows)
    if running:
        yield ngettext(
            "%(count)d running job was left alone: what has started cannot be cancelled.",
            "%(count)d running jobs were left alone: what has started cannot be cancelled.",
            running,
        ) % {"count": running}
    if gone := len(rows) - running:
        yield ngettext(
            "%(count)d job was left alone: it has started or finished meanwhile.",
            "%(count)d jobs were left alone: they have started or finished meanwhile.",
            gone,
        ) % {"count": gone}


CANCEL = Verb(
    act=_cancel,
    done=ngettext_lazy("%(count)d job was cancelled.", "%(count)d jobs were cancelled.", "count"),
    entry=gettext_lazy("Cancelled."),
    left=_not_cancelled,
)


# retry


def _retry(ids: list[uuid.UUID], alias: str, username: str) -> set[uuid.UUID]:
    return jobs.retry(ids, backend=alias)


def _gone(rows: Sequence[Any]) -> Iterator[str]:
    yield ngettext(
        "%(count)d result was left alone: it is not among the results any more.",
        "%(count)d results were left alone: they are not among the results any more.",
        len(rows),
    ) % {"count": len(rows)}


RETRY = Verb(
    act=_retry,
    done=ngettext_lazy(
        "%(count)d result was put back into its queue.", "%(count)d results were put back into their queues.", "count"
    ),
    entry=gettext_lazy("Retried: put back into its queue."),
    left=_gone,
)


# delete


def _delete(ids: list[uuid.UUID], alias: str, username: str) -> set[uuid.UUID]:
    # What was pruned meanwhile is deleted all the same.
    jobs.delete(ids, backend=alias)
    return set(ids)


DELETE = Verb(
    act=_delete,
    done=ngettext_lazy("%(count)d result was deleted.", "%(count)d results were deleted.", "count"),
    entry="",
    left=_gone,
    flag=DELETION,
)
