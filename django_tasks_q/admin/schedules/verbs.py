"""An operator's actions on schedules of any origin: the action, the message about it, and the history."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from ...control import schedules
from ...exceptions import InvalidSchedule, ScheduleNotFound
from ...models import Schedule
from ..actions.base import record
from ..backends import backend_aliases
from ..display import Text, storable

__all__ = ["MOST_SELECTED", "PAUSE", "RESUME", "RUN", "Verb", "load", "perform"]

# Each is its own transaction.
MOST_SELECTED = 1_000
NAMED = 10


@dataclass(frozen=True, slots=True)
class Verb:
    """act: applies it to a schedule for a user, and returns a true value if that changed anything.

    done, needless: the messages for changed and for unchanged schedules; entry: the text for the history.
    """

    act: Callable[[Schedule, str], object]
    entry: Text
    done: Text
    needless: Text = ""


def load(request: HttpRequest, queryset: QuerySet[Schedule]) -> list[Schedule]:
    """Return the selected schedules: at most MOST_SELECTED; the user is told if there are more."""
    rows = list(queryset[: MOST_SELECTED + 1])
    if len(rows) > MOST_SELECTED:
        text = _("There are more than %s: only the first ones were processed. Run the action again for the rest.")
        messages.warning(request, text % number_format(MOST_SELECTED, force_grouping=True))
    return rows[:MOST_SELECTED]


def perform(request: HttpRequest, verb: Verb, rows: Sequence[Schedule]) -> dict[int, object]:
    """Do it to one after the other; write the history; tell the user. Return the results, by key."""
    outcomes: dict[int, object] = {}
    username, known = request.user.get_username(), backend_aliases()
    for row in rows:
        try:
            if row.backend in known:
                outcomes[row.pk] = verb.act(row, username)
            else:
                text = _("The backend “%s” is no longer in TASKS: its rows were left unchanged.")
                messages.warning(request, text % row.backend)
        except (InvalidSchedule, ScheduleNotFound) as error:
            messages.error(request, f"{row.name}: {error}")
    done = [row for row in rows if outcomes.get(row.pk)]
    for row in done:
        record(request, [row], CHANGE, verb.entry % {"outcome": outcomes[row.pk]})
    if done:
        messages.success(request, _tell(verb.done, done))
    if needless := [row for row in rows if outcomes.get(row.pk) is False]:
        messages.warning(request, _tell(verb.needless, needless))
    return outcomes


def _tell(words: Text, rows: Sequence[Schedule]) -> str:
    names = [_("“%s”") % storable(row.name) for row in rows[:NAMED]]
    if others := len(rows) - NAMED if len(rows) > NAMED else 0:
        names.append(ngettext("%d other", "%d others", others) % others)
    return str(words % {"count": len(rows), "names": get_text_list(names, _("and"))})


RUN = Verb(
    act=lambda row, username: schedules.run_now(row.name, backend=row.backend),
    entry=gettext_lazy("Run now: job %(outcome)s."),
    done=ngettext_lazy("A job of %(names)s was enqueued.", "Jobs of %(names)s were enqueued.", "count"),
)
PAUSE = Verb(
    act=lambda row, username: schedules.pause(row.name, backend=row.backend, by=username),
    entry=gettext_lazy("Paused."),
    done=ngettext_lazy("%(names)s is paused.", "%(names)s are paused.", "count"),
    needless=ngettext_lazy("%(names)s was already paused.", "%(names)s were already paused.", "count"),
)
RESUME = Verb(
    act=lambda row, username: schedules.resume(row.name, backend=row.backend),
    entry=gettext_lazy("Resumed."),
    done=ngettext_lazy(
        "%(names)s was resumed, from the next slot on.", "%(names)s were resumed, from their next slots on.", "count"
    ),
    needless=ngettext_lazy("%(names)s was not paused.", "%(names)s were not paused.", "count"),
)
