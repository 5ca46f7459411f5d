"""Pages on which an operator enqueues a call: a new one, or a finished one with other arguments."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...compat import BaseTask, InvalidTask
from ...control.calls import enqueue_call, retry_edited
from ...exceptions import TasksQError
from ...models import Job, Result
from ...monitoring.tasks import task_paths
from ...shortcuts import find_task
from ..actions.base import record
from ..backends import aliases_in, chosen_database
from ..base import TasksAdmin
from ..display import json_block, link, storable
from ..forms import CallForm, EnqueueForm

if TYPE_CHECKING:
    from .jobs import JobAdmin

__all__ = ["edit_page", "enqueue_page"]

Pages = TasksAdmin[Job] | TasksAdmin[Result]


def enqueue_page(admin: "JobAdmin", request: HttpRequest) -> HttpResponse:
    """Let the user choose a task, then its arguments, and enqueue the call."""
    if not admin.has_enqueue_permission(request) or not admin.has_view_permission(request):
        raise PermissionDenied
    using = chosen_database(request)
    known = task_paths(using)
    path = request.GET.get("task", "")
    if path not in known:
        # Only known tasks are loaded: permission to enqueue tasks is not permission to import any module.
        return _page(admin, request, gettext_lazy("Enqueue a job"), {"tasks": known})
    backend = aliases_in(using)[0]

    def enqueue(form: CallForm) -> uuid.UUID:
        args, kwargs = form.call
        delay = form.cleaned_data["delay"]
        return enqueue_call(
            path,
            args,
            kwargs,
            backend=backend,
            queue=form.cleaned_data["queue"] or None,
            priority=form.cleaned_data["priority"],
            run_after=timedelta(seconds=delay) if delay else None,
        )

    return _call_page(admin, request, path, EnqueueForm, enqueue, {"title": _("Enqueue %s") % path})


def edit_page(admin: Pages, request: HttpRequest, row: Result) -> HttpResponse:
    """Let the user change the arguments of a finished job, and enqueue the call again, under its own id."""

    def enqueue(form: CallForm) -> uuid.UUID:
        args, kwargs = form.call
        return retry_edited(row.pk, args, kwargs, backend=row.backend)

    context = {
        "title": _("Retry with other arguments"),
        "original": row,
        "before": [(name, json_block(getattr(row, name))) for name in ("args", "kwargs")],
    }
    return _call_page(admin, request, row.task_path, CallForm, enqueue, context, row)


def _call_page(
    admin: Pages,
    request: HttpRequest,
    path: str,
    kind: type[CallForm],
    enqueue: Callable[[CallForm], uuid.UUID],
    context: dict[str, object],
    row: Job | Result | None = None,
) -> HttpResponse:
    title = context.pop("title")
    form: CallForm | None
    try:
        form = _form(find_task(path), request, kind, row)
        if form.is_valid():
            return _enqueued(admin, request, enqueue(form), row)
    except (InvalidTask, TypeError, ValueError, TasksQError) as error:
        # The user can fix what is wrong with a task, a call or an argument.
        messages.error(request, storable(str(error))[:1_000])
        form = _form_or_none(path, request, kind, row)
    return _page(admin, request, title, {"form": form, "task": path, **context})


def _form(task: BaseTask, request: HttpRequest, kind: type[CallForm], row: Job | Result | None) -> CallForm:
    data = request.POST if request.method == "POST" else None
    begun = (row.args, row.kwargs) if row is not None else ((), {})
    if not isinstance(begun[0], list | tuple) or not isinstance(begun[1], dict):
        begun = ((), {})
    return kind(task, data, *begun)


def _form_or_none(path: str, request: HttpRequest, kind: type[CallForm], row: Job | Result | None) -> CallForm | None:
    try:
        return _form(find_task(path), request, kind, row)
    except (InvalidTask, TypeError, ValueError):
        return None


def _enqueued(admin: Pages, request: HttpRequest, key: uuid.UUID, row: Job | Result | None) -> HttpResponse:
    using = chosen_database(request) if row is None else row._state.db
    model = Job if Job.objects.using(using).filter(pk=key).exists() else Result
    url = admin.url(Job, "change", key)
    if row is None:
        record(request, [model(pk=key)], ADDITION, _("Enqueued."))
    else:
        record(request, [row], CHANGE, _("Retried with other arguments as %s.") % key)
        record(request, [model(pk=key)], ADDITION, _("Enqueued as a retry of %s with other arguments.") % row.pk)
    messages.success(request, _("The job %s was enqueued.") % key)
    return HttpResponseRedirect(url or "")


def _page(admin: Pages, request: HttpRequest, title: object, context: dict[str, object]) -> HttpResponse:
    request.current_app = admin.admin_site.name
    common = {**admin.admin_site.each_context(request), "title": title, "opts": admin.opts, "media": admin.media}
    return TemplateResponse(request, "admin/django_tasks_q/call.html", common | {"link": link} | context)
