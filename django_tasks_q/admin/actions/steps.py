"""Actions on many rows: confirmed first, then done in short steps, each in its own request.

A page shows the progress and continues automatically, or, without JavaScript, when a button is pressed. What is left
to do travels with the page, signed; each step checks the permission again, as Django does for any action.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core import signing
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from ...brokers import get_broker
from ...models import Job, Result, Worker
from ...monitoring.counts import Count, count
from ..backends import aliases_in
from ..base import TasksAdmin
from ..display import Text, counted
from .base import Row, Skipped, Verb, act, changed, load, numbers, perform, tell

__all__ = ["Bulk", "run"]

# The pages of these rows.
Admin = TasksAdmin[Job] | TasksAdmin[Result] | TasksAdmin[Worker]
SALT = "django_tasks_q.admin.actions.steps"
BATCH = 1_000
# Seconds of work for each request.
STEP = 0.5
# How many of the rows in question are named.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Bulk:
    """A verb for many rows.

    name: of the action. title, question: of the page; question is a plural by "number", with %(count)s; warning: what
    else to know. eligible: the statuses of the rows that it is for, empty for all. moment: the column that says since
    when a row exists. form: further input; make: returns the verb for that input. asks: also for single rows.
    """

    name: str
    title: Text
    question: Text
    make: Callable[[dict[str, Any]], Verb]
    moment: str
    warning: Text = ""
    eligible: tuple[str, ...] = ()
    form: type[Form] | None = None
    asks: bool = False
    dangerous: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress. before: only rows that existed then; after: the key of the last row, in descending order.

    done: how many rows were changed, by what was done; left: how many were skipped, by backend and status.
    """

    name: str
    before: str
    total: int
    after: str | None = None
    seen: int = 0
    given: dict[str, str] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def signed(self) -> str:
        return signing.dumps(asdict(self), salt=SALT, compress=True)

    @classmethod
    def read(cls, signed: str, name: str) -> "Progress":
        """Raise BadSignature for a value that this page has not made, or has made for another action."""
        found = cls(**signing.loads(signed, salt=SALT))
        if found.name != name:
            raise signing.BadSignature
        return found


def run(admin: Admin, request: HttpRequest, queryset: QuerySet[Row], bulk: Bulk) -> HttpResponse | None:
    """Respond to an action of a list: do it, ask for confirmation, or continue it."""
    if not bulk.asks and not _is_across(request):
        perform(request, bulk.make({}), load(queryset))
        return None
    if "progress" not in request.POST:
        return _ask(admin, request, _eligible(queryset, bulk), bulk, bulk.form() if bulk.form else None)
    try:
        progress = Progress.read(request.POST["progress"], bulk.name)
    except signing.BadSignature:
        messages.error(request, _("The page has expired, or does not come from this site: nothing was done."))
        return None
    form = bulk.form(progress.given or request.POST) if bulk.form else None
    if form is not None and not form.is_valid():
        return _ask(admin, request, _eligible(queryset, bulk), bulk, form)
    return _go_on(admin, request, queryset, bulk, progress, form)


def _is_across(request: HttpRequest) -> bool:
    return request.POST.get("select_across") == "1"


def _eligible(queryset: QuerySet[Row], bulk: Bulk) -> QuerySet[Row]:
    return queryset.filter(status__in=bulk.eligible) if bulk.eligible else queryset


# asking


def _ask(
    admin: Admin, request: HttpRequest, rows: QuerySet[Row], bulk: Bulk, form: Form | None
) -> HttpResponse | None:
    number = count(rows.order_by())
    if not number:
        messages.warning(request, _("There is nothing to apply this action to."))
        return None
    before = max((get_broker(alias).dialect.now() for alias in aliases_in(rows.db)), default=None)
    progress = Progress(bulk.name, before.isoformat() if before else "", int(number))
    named = list(rows.order_by("-pk").only(*_columns(rows, bulk))[:NAMED])
    context: dict[str, object] = {
        "question": bulk.question % {"number": int(number), "count": counted(number)},
        "warning": bulk.warning,
        "form": form,
        "named": named,
        "unnamed": max(0, int(number) - len(named)),
        "dangerous": bulk.dangerous,
    }
    return _page(admin, request, "ask", bulk, progress, context)


def _page(
    admin: Admin, request: HttpRequest, name: str, bulk: Bulk, progress: Progress, context: dict[str, object]
) -> HttpResponse:
    request.current_app = admin.admin_site.name
    hidden = [("action", bulk.name), ("index", "0"), ("progress", progress.signed())]
    hidden += [("select_across", request.POST.get("select_across", "0"))]
    hidden += [(ACTION_CHECKBOX_NAME, key) for key in request.POST.getlist(ACTION_CHECKBOX_NAME)]
    common = {
        **admin.admin_site.each_context(request),
        "title": bulk.title,
        "opts": admin.opts,
        "media": admin.media,
        "hidden": hidden,
        "progress": progress,
        "back": request.get_full_path(),
    }
    return TemplateResponse(request, f"admin/django_tasks_q/batches/{name}.html", common | context)


# doing


def _go_on(
    admin: Admin,
    request: HttpRequest,
    queryset: QuerySet[Row],
    bulk: Bulk,
    progress: Progress,
    form: Form | None,
) -> HttpResponse | None:
    """Work for a while; then say that it is done, or show the progress."""
    if form is not None:
        progress = replace(progress, given={name: request.POST.get(name, "") for name in form.fields} | progress.given)
    verb = bulk.make(form.cleaned_data if form is not None else {})
    until = time.monotonic() + STEP
    for rows in _batches(_eligible(queryset, bulk), bulk, progress):
        effects = act(request, verb, rows)
        touched, done = changed(effects), Counter(numbers(effects))
        left = Counter(f"{row.backend} {row.status}" for row in rows if row.pk not in touched)
        progress = replace(
            progress,
            after=str(rows[-1].pk),
            seen=progress.seen + len(rows),
            done=dict(Counter(progress.done) + done),
            left=dict(Counter(progress.left) + left),
        )
        if time.monotonic() >= until:
            return _page(admin, request, "progress", bulk, progress, _so_far(progress))
    tell(request, verb, progress.done, list(_left(progress)))
    return None


def _so_far(progress: Progress) -> dict[str, object]:
    most = max(progress.total, progress.seen)
    numbers = {"seen": counted(Count(progress.seen)), "total": counted(Count(most))}
    return {"most": most, "question": _("%(seen)s of about %(total)s so far.") % numbers}


def _batches(queryset: QuerySet[Row], bulk: Bulk, progress: Progress) -> Iterator[list[Row]]:
    """Yield the rows after the last one, by descending keys: changing some of them does not move the others."""
    before = parse_datetime(progress.before)
    rows = queryset.order_by("-pk").only(*_columns(queryset, bulk))
    if isinstance(before, datetime):
        rows = rows.filter(**{f"{bulk.moment}__lte": before})
    after = progress.after
    while batch := list((rows if after is None else rows.filter(pk__lt=after))[:BATCH]):
        yield batch
        after = str(batch[-1].pk)


def _columns(rows: QuerySet[Row], bulk: Bulk) -> list[str]:
    known = {item.name for item in rows.model._meta.fields}
    return sorted(known.intersection({"id", "backend", "task_path", "status"}))


def _left(progress: Progress) -> Iterator[Skipped]:
    for name, number in progress.left.items():
        backend, _space, status = name.rpartition(" ")
        yield from [Skipped(backend, status)] * number
