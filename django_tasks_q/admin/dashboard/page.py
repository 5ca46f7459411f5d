"""The dashboard: the results of monitoring, as far as the user may see them."""

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...lifecycle import JobStatus, ResultStatus
from ...models import Job, Queue, Result
from ...monitoring.problems import Situation, Subject, Trouble, troubles
from ...monitoring.running import running_jobs
from ...monitoring.schedules import upcoming
from ...monitoring.statistics import Span
from ..display import storable
from .history import history
from .tables import queue_row, running_row, schedule_row, worker_row
from .tiles import tiles
from .viewer import MODELS, Viewer

__all__ = ["dashboard", "summary"]

SPANS = {Span.HOUR: gettext_lazy("Hour"), Span.DAY: gettext_lazy("Day"), Span.WEEK: gettext_lazy("Week")}
# Rows of the tables.
MOST_RUNNING, MOST_WORKERS, MOST_SCHEDULES = 12, 50, 5


def dashboard(request: HttpRequest) -> dict[str, object]:
    """Return the context of the whole dashboard."""
    viewer = Viewer(request)
    if not viewer.backend or not viewer.subjects:
        return {"viewer": None}
    situation = Situation(viewer.backend)
    context = _head(viewer, situation)
    if viewer.may_see(Subject.QUEUE):
        context["queues"] = [queue_row(viewer, queue) for queue in situation.queues]
    if viewer.may_see(Subject.JOB):
        context["running"] = [running_row(viewer, job) for job in running_jobs(viewer.backend, MOST_RUNNING)]
    if viewer.may_see(Subject.SCHEDULE):
        context["schedules"] = [schedule_row(viewer, row) for row in upcoming(MOST_SCHEDULES, viewer.backend)]
    if viewer.may_see(Subject.WORKER):
        shown = sorted(situation.workers, key=lambda worker: (not worker.alive, not worker.stale))[:MOST_WORKERS]
        context["workers"] = [worker_row(viewer, worker) for worker in shown if worker.alive or worker.stale]
    if viewer.may_see(Subject.RESULT):
        context |= history(viewer, situation)
    return context


def summary(request: HttpRequest) -> dict[str, object]:
    """Return the context of the block on a site's index page: the problems and a few numbers."""
    viewer = Viewer(request)
    if not viewer.backend or not viewer.subjects:
        return {"viewer": None}
    return _head(viewer, Situation(viewer.backend))


def _head(viewer: Viewer, situation: Situation) -> dict[str, object]:
    found = [trouble for trouble in troubles(situation) if viewer.may_see(trouble.subject)]
    return {
        "viewer": viewer,
        "home": viewer.home(),
        "spans": [(label, viewer.home(span=span), span == viewer.span) for span, label in SPANS.items()],
        "backends": [
            (alias, viewer.home(backend=alias), alias == viewer.backend) for alias in viewer.aliases if viewer.several
        ],
        "troubles": [_trouble(viewer, trouble) for trouble in found],
        "tiles": tiles(viewer, situation),
        "now": timezone.localtime() if timezone.is_aware(timezone.now()) else timezone.now(),
    }


def _trouble(viewer: Viewer, trouble: Trouble) -> dict[str, object]:
    return {
        "severity": trouble.severity,
        "label": {"critical": _("Critical"), "warning": _("Warning")}[trouble.severity],
        "message": storable(trouble.message),
        "remedy": storable(trouble.remedy),
        "command": storable(trouble.command),
        "url": _place(viewer, trouble),
    }


def _place(viewer: Viewer, trouble: Trouble) -> str | None:
    """Return the page that shows more about a problem."""
    if trouble.kind in ("unheard_queue", "backlog") and trouble.queue:
        return viewer.url(Job, queue=trouble.queue, status=JobStatus.READY) or viewer.url(Queue)
    if trouble.kind == "late_jobs":
        return viewer.url(Job, status=JobStatus.SCHEDULED)
    if trouble.kind == "failures":
        return viewer.url(Result, status=ResultStatus.FAILED)
    return viewer.url(MODELS[trouble.subject])
