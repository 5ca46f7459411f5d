from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.admin.models import CHANGE
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..brokers import get_database
from ..control import queues
from ..lifecycle import JobStatus
from ..models import Job, Queue, Result
from ..monitoring.counts import Count
from ..monitoring.queues import QueueStats, queue_stats
from .actions.base import record
from .backends import BACKEND_VAR, backend_aliases
from .base import TasksAdmin
from .display import Text, counted, duration, link, moment, queue_badge, storable

__all__ = ["QueueAdmin"]

# In the order of their columns.
STATUSES = (JobStatus.READY, JobStatus.RUNNING, JobStatus.SCHEDULED, JobStatus.WAITING)


@dataclass(frozen=True, slots=True)
class Switch:
    """Pause or resume: the function, the entry in the history, and the messages to the user."""

    act: Callable[..., bool]
    entry: Text
    done: Text
    needless: Text


PAUSE = Switch(
    act=queues.pause,
    entry=gettext_lazy("Paused."),
    done=gettext_lazy("The queue “%s” is paused. Running jobs continue."),
    needless=gettext_lazy("The queue “%s” was already paused."),
)
RESUME = Switch(
    act=queues.resume,
    entry=gettext_lazy("Resumed."),
    done=gettext_lazy("The queue “%s” is running again."),
    needless=gettext_lazy("The queue “%s” was not paused."),
)


class QueueAdmin(TasksAdmin[Queue]):
    """One page with every queue that has jobs, is configured, listened to or paused: few of them have a row."""

    ordering = ("name", "pk")
    list_display = ("name",)

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.pause_queue")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            "groups": [(alias, list(self._lines(alias))) for alias in backend_aliases()],
            "statuses": [status.label for status in STATUSES],
            "may_pause": self.has_pause_permission(request),
            "pause_url": self.url(Queue, "pause"),
            "resume_url": self.url(Queue, "resume"),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """Redirect to the list, which shows everything."""
        return HttpResponseRedirect(self.url(Queue, "changelist") or "")

    # pause and resume

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("pause/", wrap(self.pause_view), name="django_tasks_q_queue_pause"),
            path("resume/", wrap(self.resume_view), name="django_tasks_q_queue_resume"),
            *super().get_urls(),
        ]

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        return self._switch(request, PAUSE)

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        return self._switch(request, RESUME)

    def _switch(self, request: HttpRequest, switch: Switch) -> HttpResponse:
        if not self.has_pause_permission(request) or not self.has_view_permission(request):
            raise PermissionDenied
        name, alias = request.POST.get("name", ""), request.POST.get(BACKEND_VAR, "")
        if request.method == "POST" and alias in backend_aliases():
            self._act(request, switch, name, alias)
        return HttpResponseRedirect(self.url(Queue, "changelist") or "")

    def _act(self, request: HttpRequest, switch: Switch, name: str, alias: str) -> None:
        try:
            changed = switch.act(name, backend=alias)
        except ValueError as error:
            messages.error(request, str(error))
            return
        if not changed:
            messages.warning(request, switch.needless % name)
            return
        row = Queue.objects.using(get_database(alias)).get(backend=alias, name=name)
        record(request, [row], CHANGE, switch.entry)
        messages.success(request, switch.done % name)

    # the page

    def _lines(self, alias: str) -> Iterator[dict[str, object]]:
        """Yield what the page shows about each queue of a backend."""
        rows = {row.name: row for row in Queue.objects.using(get_database(alias)).filter(backend=alias)}
        for stats in queue_stats(alias):
            yield {
                "name": stats.name,
                "link": self.list_link(Job, storable(stats.name), alias, queue=stats.name),
                "state": queue_badge(stats),
                "since": moment(rows[stats.name].changed_at) if stats.paused and stats.name in rows else "",
                "paused": stats.paused,
                "counts": [self._count(alias, stats, status) for status in STATUSES],
                "oldest": duration(stats.oldest_ready_seconds),
                "workers": stats.workers,
                "unheard": not stats.workers and bool(stats.ready),
                "results": self.list_link(Result, _("Results"), alias, queue=stats.name),
                "history": self._history(rows.get(stats.name), alias),
            }

    def _count(self, alias: str, stats: QueueStats, status: JobStatus) -> str:
        number: Count = getattr(stats, status.lower())
        return self.list_link(Job, counted(number), alias, queue=stats.name, status=status) if number else "0"

    def _history(self, row: Queue | None, alias: str) -> str:
        return link(self.url(Queue, "history", row.pk, **{BACKEND_VAR: alias}), _("History")) if row else ""
