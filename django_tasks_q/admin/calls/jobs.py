from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...lifecycle import JobStatus
from ...models import Job, Result
from ...monitoring.jobs import why
from ..actions.bulk import CANCEL_MANY, MOVE_MANY, RUN_MANY_NOW
from ..actions.steps import run
from ..actions.verbs import CANCEL, RUN_NOW
from ..backends import backend_aliases
from ..base import Button
from ..display import NOTHING, below, moment, storable
from ..lists.filters import BackendFilter, JobQueueFilter, JobStatusFilter, JobWorkerFilter, TaskFilter
from ..lists.periods import EnqueuedFilter, OlderFilter
from .base import CallAdmin
from .enqueue import enqueue_page

__all__ = ["JobAdmin"]


class JobAdmin(CallAdmin[Job]):
    """Live jobs. They can be cancelled, but not deleted before that."""

    twin = Result
    time_filter = EnqueuedFilter
    actions = ("cancel", "run_now", "move")
    list_display = ("call", "state_and_attempts", "queue_and_priority", "enqueued", "begins", "worker")
    list_filter = (
        JobStatusFilter,
        JobQueueFilter,
        TaskFilter,
        JobWorkerFilter,
        EnqueuedFilter,
        OlderFilter,
        BackendFilter,
    )
    facts = (
        "state", "queue_page", "worker", "priority", "attempt", "failures", "losses", "enqueued", "due",
        "became_due", "started", "last_started", "waited",
    )  # fmt: skip

    def search_tasks(self, queryset: QuerySet[Job], text: str) -> QuerySet[Job]:
        # Live work only: this table is small, and has no index to pay for at every transition.
        return queryset.filter(task_path__icontains=text)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.cancel_job")

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.run_job")

    def has_move_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.move_job")

    def has_enqueue_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.enqueue_job")

    @admin.action(permissions=["cancel"], description=_("Cancel selected jobs"))
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        return run(self, request, queryset, CANCEL_MANY)

    @admin.action(permissions=["run"], description=_("Run selected jobs now"))
    def run_now(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        return run(self, request, queryset, RUN_MANY_NOW)

    @admin.action(permissions=["move"], description=_("Change queue or priority of selected jobs"))
    def move(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse | None:
        return run(self, request, queryset, MOVE_MANY)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("enqueue/", wrap(self.enqueue_view), name="django_tasks_q_job_enqueue"),
            path("<path:object_id>/cancel/", wrap(self.cancel_view), name="django_tasks_q_job_cancel"),
            path("<path:object_id>/run/", wrap(self.run_view), name="django_tasks_q_job_run"),
            *super().get_urls(),
        ]

    def enqueue_view(self, request: HttpRequest) -> HttpResponse:
        return enqueue_page(self, request)

    def tools(self, request: HttpRequest) -> list[tuple[object, str | None]]:
        found = super().tools(request)
        return [(_("Enqueue"), self.url(Job, "enqueue")), *found] if self.has_enqueue_permission(request) else found

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.act(request, object_id, CANCEL, allowed=self.has_cancel_permission(request))

    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.act(request, object_id, RUN_NOW, allowed=self.has_run_permission(request))

    def buttons(self, request: HttpRequest, row: Job) -> list[Button]:
        found: list[Button] = []
        if row.status == JobStatus.SCHEDULED and self.has_run_permission(request):
            found.append({"label": _("Run now"), "url": self.url(Job, "run", row.pk)})
        if row.status != JobStatus.RUNNING and self.has_move_permission(request):
            found.append(self.action_button(row, "move", _("Move")))
        if row.cancel_requested_at is None and self.has_cancel_permission(request):
            found.append({"label": _("Cancel"), "url": self.url(Job, "cancel", row.pk), "dangerous": True})
        return found

    @admin.display(description=_("queue"))
    def queue_and_priority(self, row: Job) -> str:
        if not row.priority:
            return self.queue(row)
        return below(self.queue(row), _("priority %d") % row.priority)

    @admin.display(description=_("started or due"))
    def begins(self, row: Job) -> str:
        if row.status == JobStatus.RUNNING:
            return moment(row.last_attempted_at)
        return moment(row.due_at) if row.status == JobStatus.SCHEDULED else NOTHING

    @admin.display(description=_("due"))
    def became_due(self, row: Job) -> str:
        return moment(row.due_at)

    def details(self, request: HttpRequest, row: Job) -> dict[str, object]:
        running = row.status == JobStatus.RUNNING
        title = _("Where it runs:") if running else _("Why it is not running:")
        return super().details(request, row) | {"why": self.explanation(row), "why_title": title}

    def explanation(self, row: Job) -> str:
        if row.backend not in backend_aliases():
            return gettext("The backend “%s” is no longer in TASKS.") % row.backend
        return storable(why(row))
