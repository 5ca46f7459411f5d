from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import BaseModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _

from ..control import jobs
from ..lifecycle import ResultStatus
from ..models import Job, Result
from ..monitoring.names import find_task_paths
from .actions import DELETE, RETRY, load, perform
from .calls import CallAdmin, parse_id
from .display import NOTHING, duration, json_block, moment
from .filters import EnqueuedFilter, ResultBackendFilter, ResultQueueFilter, ResultStatusFilter, TaskFilter

__all__ = ["ResultAdmin"]

# How many of the results that are about to be deleted are named.
NAMED = 20


class ResultAdmin(CallAdmin):
    """The history. Finished jobs can be retried, and deleted."""

    twin = Job
    actions = ("retry", "delete_selected")
    list_display = ("call", "state_and_attempts", "queue", "finished", "waited", "ran")
    list_filter = (ResultStatusFilter, ResultQueueFilter, TaskFilter, EnqueuedFilter, ResultBackendFilter)
    facts = (
        "full_reason", "state", "queue_page", "worker", "priority", "attempt", "failures", "losses", "enqueued", "due",
        "started", "last_started", "finished", "waited", "ran",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_fieldsets(request, obj)
        if obj is not None and obj.status == ResultStatus.SUCCESSFUL:
            found.insert(1, (_("Outcome"), {"fields": ["shown_return_value"]}))
        return found

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Order by the primary key, or by the end where the index of the status leads along it."""
        along_status = ResultStatusFilter.parameter_name in request.GET
        elsewhere = ResultQueueFilter.parameter_name in request.GET
        return ("-finished_at", "-pk") if along_status and not elsewhere else self.ordering

    def search_tasks(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(task_path__in=find_task_paths(Result.objects.using(queryset.db), text))

    # retry

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.retry_result")

    @admin.action(permissions=["retry"], description=_("Retry selected results"))
    def retry(self, request: HttpRequest, queryset: QuerySet[Result]) -> None:
        perform(request, RETRY, load(request, queryset))

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.retry_view)
        return [path("<path:object_id>/retry/", view, name="django_tasks_q_result_retry"), *super().get_urls()]

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.act(request, object_id, RETRY, allowed=self.has_retry_permission(request))

    def buttons(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        if self.has_retry_permission(request):
            found.append({"label": _("Retry"), "url": self.url(Result, "retry", row.pk)})
        if self.has_delete_permission(request):
            found.append({"label": _("Delete"), "url": self.url(Result, "delete", row.pk), "asks": True})
        return found

    # delete

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return BaseModelAdmin.has_delete_permission(self, request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Nothing hangs on a result: what Django would look for is not there.
        rows = list(objs)
        return [str(row) for row in rows], {self.opts.verbose_name_plural: len(rows)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Result) -> None:
        jobs.delete([obj.pk], backend=obj.backend)

    @admin.action(permissions=["delete"], description=_("Delete selected results"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Result]) -> HttpResponse | None:
        """Ask whether to delete the selected results; once confirmed, delete those that were asked about."""
        if "confirmed" not in request.POST:
            rows = load(request, queryset)
            return self._ask(request, rows) if rows else None
        ids = [job_id for job_id in map(parse_id, request.POST.get("ids", "").split(",")) if job_id]
        perform(request, DELETE, list(self.get_queryset(request).only("backend", "task_path").in_bulk(ids).values()))
        return None

    def _ask(self, request: HttpRequest, rows: list[Result]) -> HttpResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Delete results"),
            "opts": self.opts,
            "media": self.media,
            "count": len(rows),
            "named": rows[:NAMED],
            "unnamed": max(0, len(rows) - NAMED),
            "ids": ",".join(str(row.pk) for row in rows),
            "first": rows[0].pk,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/django_tasks_q/result/delete_selected_confirmation.html", context)

    # columns and fields

    @admin.display(description=_("finished"))
    def finished(self, row: Result) -> str:
        return moment(row.finished_at)

    @admin.display(description=_("ran"))
    def ran(self, row: Result) -> str:
        """How long its last attempt took."""
        if row.status == ResultStatus.CANCELLED or row.last_attempted_at is None:
            return NOTHING
        return duration((row.finished_at - row.last_attempted_at).total_seconds())

    @admin.display(description=_("return value"))
    def shown_return_value(self, row: Result) -> str:
        return json_block(row.return_value)
