"""What an action on selected rows is, and how it is done: the action, the message about it, and the history."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from ...models import Job, Result, Worker
from ..backends import backend_aliases
from ..display import Text

__all__ = ["Effects", "Row", "Skipped", "Verb", "act", "changed", "load", "numbers", "perform", "record", "tell"]

Row = Job | Result | Worker
# The keys of the rows that an action was applied to, by what was done.
Effects = Mapping[str, Set[uuid.UUID | str]]


@dataclass(frozen=True, slots=True)
class Skipped:
    """What is known of a row that was left unchanged in an earlier step."""

    backend: str
    status: str


@dataclass(frozen=True, slots=True)
class Verb:
    """An action on jobs, results or workers.

    act: applies it to ids of one backend for a user, and returns the ids that were changed, by what was done.
    done: the message with how many; entry: the text for the history; left: why the others were skipped.
    """

    act: Callable[[list[Any], str, str], Effects]
    done: Mapping[str, Text]
    entry: Text
    left: Callable[[Sequence[Row | Skipped]], Iterable[str]]
    flag: int = CHANGE


def load(queryset: QuerySet[Row]) -> list[Row]:
    """Return the rows that were selected one by one, without payloads."""
    return list(queryset.only("id", "backend", "task_path", "status"))


def perform(request: HttpRequest, verb: Verb, rows: Sequence[Row]) -> set[uuid.UUID | str]:
    """Do it; write the history; tell the user how many rows changed, how many not, and why. Return the ids changed."""
    effects = act(request, verb, rows)
    touched = changed(effects)
    tell(request, verb, numbers(effects), [row for row in rows if row.pk not in touched])
    return touched


def act(request: HttpRequest, verb: Verb, rows: Sequence[Row]) -> Effects:
    """Do it, and write the history; return the ids of the changed rows, by what was done."""
    username = request.user.get_username()
    known = backend_aliases()
    effects: dict[str, set[uuid.UUID | str]] = {effect: set() for effect in verb.done}
    for alias, keys in _by_backend(rows).items():
        if alias in known:
            for effect, ids in verb.act(keys, alias, username).items():
                effects[effect] |= ids
    touched = changed(effects)
    if done := [row for row in rows if row.pk in touched]:
        record(request, done, verb.flag, verb.entry)
    return effects


def changed(effects: Effects) -> set[uuid.UUID | str]:
    """Return the ids of all rows that were changed, whatever was done to them."""
    return set().union(*effects.values())


def numbers(effects: Effects) -> dict[str, int]:
    """Return how many rows were changed, by what was done."""
    return {effect: len(ids) for effect, ids in effects.items()}


def tell(request: HttpRequest, verb: Verb, done: Mapping[str, int], left: Sequence[Row | Skipped]) -> None:
    """Tell the user what was done to how many rows, how many were skipped, and why."""
    for effect, words in verb.done.items():
        if number := done.get(effect):
            messages.success(request, words % {"count": number})
    for text in _left_alone(verb, left, backend_aliases()):
        messages.warning(request, text)


def record(request: HttpRequest, rows: Sequence[Model], flag: int, entry: object) -> None:
    """Record who did what to which rows, now, in the admin's history."""
    LogEntry.objects.log_actions(request.user.pk, rows, flag, str(entry))  # type: ignore[arg-type]


def _by_backend(rows: Iterable[Row]) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[row.backend].append(row.pk)
    return groups


def _left_alone(verb: Verb, rows: Sequence[Row | Skipped], known: list[str]) -> Iterator[str]:
    for alias in sorted({row.backend for row in rows}.difference(known)):
        yield _("The backend “%s” is no longer in TASKS: its rows were left unchanged.") % alias
    if ours := [row for row in rows if row.backend in known]:
        yield from verb.left(ours)
