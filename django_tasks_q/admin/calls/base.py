"""What the pages of jobs and results share: a row moves between the two tables under the same id."""

import uuid
from typing import Any, ClassVar, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...models import Job, Queue, Result, Schedule, Worker
from ...monitoring.formatting import progress_text
from ...results import progress_of
from ..actions.base import Verb, perform
from ..backends import backend_aliases, databases
from ..base import Button, Fieldsets, TasksAdmin
from ..display import NOTHING, badge, below, duration, json_block, link, moment, number, shortened, storable
from ..lists.search import is_about_arguments, search_arguments
from ..schedules.display import is_of_schedule, schedule_of
from .attempts import failed_attempts
from .logs import shown_logs
from .timeline import timeline

__all__ = ["CallAdmin"]

HISTORY_PAGE = 100


Call = TypeVar("Call", bound=Job | Result)


class CallAdmin(TasksAdmin[Call]):
    """The pages of jobs or of results."""

    ordering = ("-pk",)
    search_fields = ("id", "task_path")
    search_help_text = gettext_lazy("A job id, part of a task path, or an argument: kwargs.order_id=42")
    list_display_links = ("call",)

    # The table that the rows of this one move to.
    twin: ClassVar[type[Model]]
    # The facts about a row, in addition to the call itself.
    facts: ClassVar[tuple[str, ...]]

    # search

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Call], search_term: str
    ) -> tuple[QuerySet[Call], bool]:
        text = search_term.strip()
        if not text:
            return queryset, False
        if "\0" in text:
            return queryset.none(), False
        if is_about_arguments(text):
            return search_arguments(queryset, text), False
        job_id = parse_id(text)
        return (queryset.filter(pk=job_id) if job_id else self.search_tasks(queryset, text)), False

    def search_tasks(self, queryset: QuerySet[Call], text: str) -> QuerySet[Call]:
        """Return the rows of the tasks that match a text."""
        raise NotImplementedError

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        """List the rows; a search for an id that has moved to the other table is redirected there."""
        job_id = parse_id(request.GET.get(SEARCH_VAR, "").strip())
        if job_id and request.method == "GET" and (url := self.moved_to(request, job_id, "change")):
            return HttpResponseRedirect(url)
        return super().changelist_view(request, extra_context)

    def moved_to(self, request: HttpRequest, job_id: uuid.UUID, view: str) -> str | None:
        """Return the page of a row that is now in the other table, or None if it is not, or not for this user."""
        other = self.admin_site.get_model_admin(self.twin) if self.admin_site.is_registered(self.twin) else None
        if other is None or not self.has_view_permission(request) or not other.has_view_permission(request):
            return None
        for using in databases():
            if self.find(job_id, using).exists():
                return None
            if self.twin._default_manager.using(using).filter(pk=job_id).exists():
                return self.url(self.twin, view, job_id)
        return None

    # one row

    def get_fieldsets(self, request: HttpRequest, obj: Call | None = None) -> Fieldsets:
        """Return the facts and the call; what the call did not set is omitted."""
        backend = ["backend"] if len(backend_aliases()) > 1 else []
        schedule = ["schedule"] if is_of_schedule(obj) else []
        parent = ["parent"] if getattr(obj, "parent_id", None) else []
        progress = ["shown_progress"] if getattr(obj, "progress", None) else []
        optional = [name for name in ("options", "metadata") if getattr(obj, name, None)]
        call = ["shown_args", "shown_kwargs", *(f"shown_{name}" for name in optional)]
        facts = [*self.facts, *schedule, *parent, *progress, *backend]
        return [(None, {"fields": tuple(facts)}), (_("Call"), {"fields": tuple(call)})]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show one row, in whichever table it is: a link to it stays valid when it moves to the other table."""
        job_id = parse_id(unquote(object_id))
        if job_id and (url := self.moved_to(request, job_id, "change")):
            return HttpResponseRedirect(url)
        return super().change_view(request, object_id, form_url, extra_context)

    def details(self, request: HttpRequest, row: Call) -> dict[str, object]:
        attempts = list(failed_attempts(row.errors, self.worker_url))
        return {
            "attempts": attempts,
            "logs": list(shown_logs(row)),
            "timeline": timeline(row, attempts, self.worker_url),
            "buttons": self.buttons(request, row),
            # It is among the other buttons.
            "show_delete": False,
        }

    def worker_url(self, name: str) -> str | None:
        return self.url(Worker, "change", name)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Show what was done to a job while it was in either table."""
        job_id = parse_id(unquote(object_id))
        if job_id is None:
            return super().history_view(request, object_id, extra_context)
        if url := self.moved_to(request, job_id, "history"):
            return HttpResponseRedirect(url)
        context = _history(job_id, request.GET.get(PAGE_VAR, 1))
        return super().history_view(request, object_id, {**context, **(extra_context or {})})

    # verbs

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | None:
        """Do an action. An invalid id is refused with a message: Django would query for it and fail."""
        if all(map(parse_id, request.POST.getlist(ACTION_CHECKBOX_NAME))):
            return super().response_action(request, *args, **kwargs)
        messages.error(request, _("The selected values are not ids: nothing was done."))
        return None

    def buttons(self, request: HttpRequest, row: Call) -> list[Button]:
        """Return this user's actions on a row, each with its label and URL: a POST, or a page with a question."""
        raise NotImplementedError

    def act(self, request: HttpRequest, object_id: str, verb: Verb, *, allowed: bool) -> HttpResponse:
        """Do it to one row if the request is a POST and allowed, then show the row wherever it is."""
        if not allowed or not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None:
            return HttpResponseRedirect(self.url(self.model, "change", unquote(object_id)) or "")
        touched = perform(request, verb, [row]) if request.method == "POST" else set()
        moved = row.pk in touched and self.moved_to(request, row.pk, "change")
        view = ("changelist",) if touched else ("change", row.pk)
        return HttpResponseRedirect(moved or self.url(self.model, *view) or "")

    # columns and fields

    @admin.display(description=gettext_lazy("task"))
    def call(self, row: Call) -> str:
        """The task, the id, and why it waits or how it failed."""
        return format_html(
            '<span class="tasksq-task">{}</span> <span class="tasksq-id">{}</span>{}',
            storable(row.task_path),
            row.pk,
            format_html(
                ' <span class="tasksq-reason tasksq-reason-{}">{}</span>', row.status.lower(), shortened(row.reason)
            )
            if row.reason
            else "",
        )

    @admin.display(description=gettext_lazy("status"))
    def state(self, row: Call) -> str:
        return badge(row.status, row.get_status_display())

    @admin.display(description=gettext_lazy("status"))
    def state_and_attempts(self, row: Call) -> str:
        if row.attempt < 2:
            return self.state(row)
        return below(self.state(row), _("attempt %d") % row.attempt)

    @admin.display(description=gettext_lazy("queue"))
    def queue(self, row: Call) -> str:
        return self.list_link(type(row), storable(row.queue_name), row.backend, queue=row.queue_name)

    @admin.display(description=gettext_lazy("queue"))
    def queue_page(self, row: Call) -> str:
        return link(self.url(Queue, "changelist"), storable(row.queue_name))

    @admin.display(description=gettext_lazy("worker"))
    def worker(self, row: Call) -> str:
        if not row.worker_id:
            return NOTHING
        return link(self.url(Worker, "change", row.worker_id), storable(row.worker_id))

    @admin.display(description=gettext_lazy("enqueued"))
    def enqueued(self, row: Call) -> str:
        return moment(row.enqueued_at)

    @admin.display(description=gettext_lazy("not before"))
    def due(self, row: Call) -> str:
        return moment(row.run_after)

    @admin.display(description=gettext_lazy("first started"))
    def started(self, row: Call) -> str:
        return moment(row.started_at)

    @admin.display(description=gettext_lazy("last started"))
    def last_started(self, row: Call) -> str:
        return moment(row.last_attempted_at)

    @admin.display(description=gettext_lazy("waited"))
    def waited(self, row: Call) -> str:
        """How long it was ready before it first ran."""
        if row.started_at is None:
            return NOTHING
        ready = row.enqueued_at
        if row.run_after is not None and ready < row.run_after <= row.started_at:
            ready = row.run_after
        return duration((row.started_at - ready).total_seconds())

    @admin.display(description=gettext_lazy("parent"))
    def parent(self, row: Call) -> str:
        """The job that enqueued this one; the link leads to whichever table it is in."""
        if row.parent_id is None:
            return NOTHING
        return link(self.url(Result, "change", row.parent_id), row.parent_id)

    @admin.display(description=gettext_lazy("progress"))
    def shown_progress(self, row: Call) -> str:
        said = progress_of(row)
        if said is None:
            return json_block(row.progress)
        return below(storable(progress_text(said, number)), moment(said.at))

    @admin.display(description=gettext_lazy("schedule"))
    def schedule(self, row: Call) -> str:
        return schedule_of(row, lambda key: self.url(Schedule, "change", key))

    @admin.display(description=gettext_lazy("arguments"))
    def shown_args(self, row: Call) -> str:
        return json_block(row.args)

    @admin.display(description=gettext_lazy("keyword arguments"))
    def shown_kwargs(self, row: Call) -> str:
        return json_block(row.kwargs)

    @admin.display(description=gettext_lazy("options of this call"))
    def shown_options(self, row: Call) -> str:
        return json_block(row.options)

    @admin.display(description=gettext_lazy("metadata"))
    def shown_metadata(self, row: Call) -> str:
        return json_block(row.metadata)


def _history(job_id: uuid.UUID, number: str | int) -> dict[str, object]:
    """Return one page of the history of a job, of both kinds of row, for Django's template."""
    kinds = ContentType.objects.get_for_models(Job, Result).values()
    entries = LogEntry.objects.filter(object_id=str(job_id), content_type__in=kinds)
    paginator = Paginator(entries.select_related("user").order_by("action_time", "pk"), HISTORY_PAGE)
    page = paginator.get_page(number)
    return {
        "action_list": page,
        "page_range": paginator.get_elided_page_range(page.number),
        "pagination_required": paginator.num_pages > 1,
    }


def parse_id(text: str) -> uuid.UUID | None:
    """Return the id in a text, or None."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
