from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..lifecycle import ALIVE, JobStatus, WorkerRequest
from ..models import Job, Worker
from ..monitoring.health import WorkerState, workers
from .actions.bulk import DRAIN_MANY, STOP_MANY
from .actions.steps import run
from .backends import aliases_in
from .base import Button, TasksAdmin
from .display import Text, badge, below, code, link, moment, names, size, storable
from .lists.filters import BackendFilter, WorkerStatusFilter
from .lists.pagination import TasksChangeList

__all__ = ["WorkerAdmin"]

# How many of a worker's running jobs are listed with it.
MOST_JOBS = 100


class WorkerChangeList(TasksChangeList):
    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        states = states_in(self.queryset.db)
        for row in self.result_list:
            row.now = states.get(row.pk)


class WorkerAdmin(TasksAdmin[Worker]):
    """The workers, running ones first."""

    ordering = (F("stopped_at").desc(nulls_first=True), "pk")
    list_display = ("name", "state", "queue_names", "jobs", "finished", "used_memory", "heartbeat")
    list_display_links = ("name",)
    list_filter = (WorkerStatusFilter, BackendFilter)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "state", "queue_names", "jobs", "finished", "used_memory", "started",
                    "heartbeat", "stopped", "host", "pid", "backend",
                )
            },
        ),
    )  # fmt: skip

    actions = ("drain", "stop")

    # drain and stop

    def has_drain_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.drain_worker")

    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.stop_worker")

    @admin.action(permissions=["drain"], description=_("Drain selected workers"))
    def drain(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        return run(self, request, queryset, DRAIN_MANY)

    @admin.action(permissions=["stop"], description=_("Stop selected workers"))
    def stop(self, request: HttpRequest, queryset: QuerySet[Worker]) -> HttpResponse | None:
        return run(self, request, queryset, STOP_MANY)

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | None:
        """Do an action. An impossible worker id is refused with a message, or a database would refuse it."""
        if "\0" not in "".join(request.POST.getlist(ACTION_CHECKBOX_NAME)):
            return super().response_action(request, *args, **kwargs)
        messages.error(request, gettext("The selected values are not ids: nothing was done."))
        return None

    def buttons(self, request: HttpRequest, row: Worker) -> list[Button]:
        """Return the requests that this user may send to a running worker."""
        found: list[Button] = []
        if row.status not in ALIVE or row.request == WorkerRequest.STOP:
            return found
        if row.request is None and self.has_drain_permission(request):
            found.append(self.action_button(row, "drain", _("Drain")))
        if self.has_stop_permission(request):
            found.append(self.action_button(row, "stop", _("Stop"), dangerous=True))
        return found

    # the list and the page

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return WorkerChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row: Any = super().get_object(request, object_id, from_field)
        if row is not None:
            row.now = states_in(row._state.db).get(row.pk)
        return row

    def details(self, request: HttpRequest, row: Worker) -> dict[str, object]:
        held: QuerySet[Job] = Job.objects.using(row._state.db).filter(status=JobStatus.RUNNING, worker_id=row.pk)
        rows = held.only("task_path", "last_attempted_at", "attempt").order_by("pk")[:MOST_JOBS]
        links = ((job, link(self.url(Job, "change", job.pk), storable(str(job)))) for job in rows)
        return {
            "buttons": self.buttons(request, row),
            "running_jobs": [(job, address, moment(job.last_attempted_at)) for job, address in links],
        }

    @admin.display(description=_("worker"))
    def name(self, row: Worker) -> str:
        return code(row.pk)

    @admin.display(description=_("state"))
    def state(self, row: Any) -> str:
        """Alive or not, by the heartbeat and the database's clock."""
        if row.now is not None and row.now.stale:
            return badge("stale", _("Stale"))
        if row.now is not None and row.now.trouble:
            return below(badge("stale", _("Cannot record")), row.now.trouble)
        if row.request and row.status in ALIVE:
            asked = _("asked to stop") if row.request == WorkerRequest.STOP else _("asked to drain")
            return below(badge(row.status, row.get_status_display()), asked)
        if row.now is not None and row.now.alive and row.idle:
            return badge("idle", _("Online, idle"))
        return badge(row.status, row.get_status_display())

    @admin.display(description=_("queues"))
    def queue_names(self, row: Worker) -> Text:
        listed = names(row.queues) or _("all")
        return below(listed, _("except %s") % names(row.excluded_queues)) if row.excluded_queues else listed

    @admin.display(description=_("running"))
    def jobs(self, row: Worker) -> str:
        """How many jobs it is running, and how many it could."""
        text = _("%(running)d of %(concurrency)d") % {"running": row.running, "concurrency": row.concurrency}
        return self.list_link(Job, text, row.backend, worker=row.pk) if row.running else text

    @admin.display(description=_("memory"))
    def used_memory(self, row: Worker) -> str:
        return size(row.memory)

    @admin.display(description=_("started"))
    def started(self, row: Worker) -> str:
        return moment(row.started_at)

    @admin.display(description=_("last heartbeat"))
    def heartbeat(self, row: Worker) -> str:
        return moment(row.heartbeat_at)

    @admin.display(description=_("stopped"))
    def stopped(self, row: Worker) -> str:
        return moment(row.stopped_at)


def states_in(using: str) -> dict[str, WorkerState]:
    """Return the current state of a database's workers, by id."""
    return {state.id: state for alias in aliases_in(using) for state in workers(alias)}
