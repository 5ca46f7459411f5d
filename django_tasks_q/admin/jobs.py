from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _

from ..lifecycle import JobStatus
from ..models import Job, Result
from ..monitoring.jobs import why
from .actions import CANCEL, load, perform
from .backends import backend_aliases
from .calls import CallAdmin
from .display import NOTHING, below, moment, storable
from .filters import BackendFilter, EnqueuedFilter, JobQueueFilter, JobStatusFilter, JobWorkerFilter, TaskFilter

__all__ = ["JobAdmin"]


class JobAdmin(CallAdmin):
    """Live jobs. What has not started can be cancelled; nothing can be deleted before that."""

    twin = Result
    actions = ("cancel",)
    list_display = ("call", "state_and_attempts", "queue_and_priority", "enqueued", "begins", "worker")
    list_filter = (JobStatusFilter, JobQueueFilter, TaskFilter, JobWorkerFilter, EnqueuedFilter, BackendFilter)
    facts = (
        "explanation", "state", "queue_page", "worker", "priority", "attempt", "failures", "losses", "enqueued", "due",
        "became_due", "started", "last_started", "waited",
    )  # fmt: skip

    def search_tasks(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        # Live work only: this table is small, and has no index to pay for at every transition.
        return queryset.filter(task_path__icontains=text)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.cancel_job")

    @admin.action(permissions=["cancel"], description=_("Cancel selected jobs"))
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        perform(request, CANCEL, load(request, queryset))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.cancel_view)
        return [path("<path:object_id>/cancel/", view, name="django_tasks_q_job_cancel"), *super().get_urls()]

    def cancel_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.act(request, object_id, CANCEL, allowed=self.has_cancel_permission(request))

    def buttons(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        if row.status == JobStatus.RUNNING or not self.has_cancel_permission(request):
            return []
        return [{"label": _("Cancel"), "url": self.url(Job, "cancel", row.pk), "dangerous": True}]

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

    @admin.display(description=_("why it does not run"))
    def explanation(self, row: Job) -> str:
        if row.backend not in backend_aliases():
            return _("The backend “%s” is not in TASKS any more.") % row.backend
        return storable(why(row))
