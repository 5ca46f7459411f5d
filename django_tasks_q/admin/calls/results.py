from collections.abc import Iterable

from django.contrib import admin
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from ...control import jobs
from ...lifecycle import ResultStatus
from ...models import Job, Result
from ...monitoring.names import find_task_paths
from ..actions.bulk import DELETE_MANY, RETRY_MANY
from ..actions.steps import run
from ..actions.verbs import RETRY
from ..backends import BACKEND_VAR, backend_aliases
from ..base import Button, Deletion, Fieldsets
from ..display import NOTHING, duration, json_block, moment, storable
from ..lists.filters import ErrorFilter, ResultBackendFilter, ResultQueueFilter, ResultStatusFilter, TaskFilter
from ..lists.periods import EnqueuedFilter, FinishedFilter, OlderFilter
from .base import CallAdmin
from .enqueue import edit_page
from .failures import failures_page

__all__ = ["ResultAdmin"]


class ResultAdmin(CallAdmin[Result]):
    """The history. Finished jobs can be retried, and deleted."""

    twin = Job
    time_filter = FinishedFilter
    actions = ("retry", "delete_selected")
    list_display = ("call", "state_and_attempts", "queue", "finished", "waited", "ran")
    list_filter = (
        ResultStatusFilter, ErrorFilter, ResultQueueFilter, TaskFilter, FinishedFilter, EnqueuedFilter, OlderFilter,
        ResultBackendFilter,
    )  # fmt: skip
    facts = (
        "state", "queue_page", "worker", "priority", "attempt", "failures", "losses", "enqueued", "due",
        "started", "last_started", "finished", "waited", "ran",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Result | None = None) -> Fieldsets:
        found = super().get_fieldsets(request, obj)
        if obj is not None and obj.status == ResultStatus.SUCCESSFUL:
            return [found[0], (_("Outcome"), {"fields": ["shown_return_value"]}), *found[1:]]
        return found

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Order by the primary key, or by finish time if the index of the status is ordered by it."""
        along_status = ResultStatusFilter.parameter_name in request.GET
        elsewhere = ResultQueueFilter.parameter_name in request.GET
        return ("-finished_at", "-pk") if along_status and not elsewhere else self.ordering

    def search_tasks(self, queryset: QuerySet[Result], text: str) -> QuerySet[Result]:
        return queryset.filter(task_path__in=find_task_paths(Result.objects.using(queryset.db), text))

    # retry

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.retry_result")

    def has_edit_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.edit_result")

    @admin.action(permissions=["retry"], description=_("Retry selected results"))
    def retry(self, request: HttpRequest, queryset: QuerySet[Result]) -> HttpResponse | None:
        return run(self, request, queryset, RETRY_MANY)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("failures/", wrap(self.failures_view), name="django_tasks_q_result_failures"),
            path("<path:object_id>/retry/", wrap(self.retry_view), name="django_tasks_q_result_retry"),
            path("<path:object_id>/edit/", wrap(self.edit_view), name="django_tasks_q_result_edit"),
            *super().get_urls(),
        ]

    def failures_view(self, request: HttpRequest) -> HttpResponse:
        return failures_page(self, request)

    def tools(self, request: HttpRequest) -> list[tuple[object, str | None]]:
        query = {BACKEND_VAR: request.GET[BACKEND_VAR]} if BACKEND_VAR in request.GET else {}
        return [(_("Failures by error"), self.url(Result, "failures", **query)), *super().tools(request)]

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_edit_permission(request) or not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is None or row.backend not in backend_aliases():
            return HttpResponseRedirect(self.url(Result, "change", unquote(object_id)) or "")
        return edit_page(self, request, row)

    def retry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self.act(request, object_id, RETRY, allowed=self.has_retry_permission(request))

    def details(self, request: HttpRequest, row: Result) -> dict[str, object]:
        return super().details(request, row) | {"why": storable(row.reason), "why_title": row.get_status_display()}

    def buttons(self, request: HttpRequest, row: Result) -> list[Button]:
        found: list[Button] = []
        if self.has_retry_permission(request):
            found.append({"label": _("Retry"), "url": self.url(Result, "retry", row.pk)})
        if self.has_edit_permission(request) and row.backend in backend_aliases():
            url = self.url(Result, "edit", row.pk)
            found.append({"label": _("Retry with other arguments"), "url": url, "asks": True})
        if self.has_delete_permission(request):
            found.append(
                {"label": _("Delete"), "url": self.url(Result, "delete", row.pk), "asks": True, "dangerous": True}
            )
        return found

    # delete

    def has_delete_permission(self, request: HttpRequest, obj: Result | None = None) -> bool:
        return BaseModelAdmin.has_delete_permission(self, request, obj) and self.has_view_permission(request, obj)

    def get_deleted_objects(self, objs: Iterable[Result], request: HttpRequest) -> Deletion:
        # No rows depend on a result: there is nothing for Django to look for.
        rows = list(objs)
        return [str(row) for row in rows], {str(self.opts.verbose_name_plural): len(rows)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Result) -> None:
        jobs.delete([obj.pk], backend=obj.backend)

    @admin.action(permissions=["delete"], description=_("Delete selected results"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Result]) -> HttpResponse | None:
        return run(self, request, queryset, DELETE_MANY)

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
