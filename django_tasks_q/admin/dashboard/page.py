"""The dashboard: the results of monitoring, as far as the user may see them."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...lifecycle import JobStatus, ResultStatus
from ...models import Job, Queue, Result, Schedule, Worker
from ...monitoring.formatting import progress_text
from ...monitoring.problems import Situation, Subject, Trouble, troubles
from ...monitoring.queues import QueueStats
from ...monitoring.running import RunningJob, running_jobs
from ...monitoring.schedules import upcoming
from ...monitoring.statistics import Figures, Span, TaskFigures, series, task_figures, total
from ...monitoring.workers import WorkerState
from ...results import Progress
from ..backends import BACKEND_VAR, backend_aliases
from ..display import (
    NOTHING,
    badge,
    code,
    counted,
    duration,
    link,
    moment,
    names,
    number,
    percent,
    shortened,
    size,
    storable,
)
from ..schedules.display import next_run, words
from .charts import charts

__all__ = ["dashboard", "summary"]

SPAN_VAR = "span"
SPANS = {Span.HOUR: gettext_lazy("Hour"), Span.DAY: gettext_lazy("Day"), Span.WEEK: gettext_lazy("Week")}
MODELS: dict[Subject, type[Model]] = {
    Subject.JOB: Job,
    Subject.RESULT: Result,
    Subject.QUEUE: Queue,
    Subject.WORKER: Worker,
    Subject.SCHEDULE: Schedule,
}
# Rows of the tables.
MOST_TASKS, MOST_RUNNING, MOST_WORKERS, MOST_SCHEDULES = 8, 12, 50, 5
SHARES = (0.5, 0.95, 0.99)


class Viewer:
    """The user, the site, and the chosen backend."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.site = getattr(request, "current_app", None)
        aliases = backend_aliases()
        chosen = request.GET.get(BACKEND_VAR)
        self.several = len(aliases) > 1
        self.aliases = aliases
        self.backend = chosen if chosen in aliases else next(iter(aliases), "")
        span = request.GET.get(SPAN_VAR, "")
        self.span = Span(span) if span in list(Span) else Span.HOUR
        self.subjects = {subject for subject in Subject if request.user.has_perm(f"django_tasks_q.view_{subject}")}

    def may_see(self, subject: Subject) -> bool:
        return subject in self.subjects

    def url(self, model: type[Model], view: str = "changelist", *args: object, **query: object) -> str | None:
        """Return the URL of a page, or None if the site has none or this user may not view it."""
        if not any(MODELS[subject] is model for subject in self.subjects):
            return None
        if self.several:
            query[BACKEND_VAR] = self.backend
        return self._reverse(f"{model._meta.app_label}_{model._meta.model_name}_{view}", *args, **query)

    def home(self, **query: object) -> str | None:
        """Return the URL of the dashboard, with the current choices."""
        chosen = {BACKEND_VAR: self.backend} if self.several else {}
        return self._reverse("app_list", "django_tasks_q", **{**chosen, SPAN_VAR: self.span} | query)

    def _reverse(self, name: str, *args: Any, **query: Any) -> str | None:
        try:
            address = reverse(f"admin:{name}", args=args, current_app=self.site)
        except NoReverseMatch:
            return None
        return f"{address}?{urlencode(query)}" if query else address


def dashboard(request: HttpRequest) -> dict[str, object]:
    """Return the context of the whole dashboard."""
    viewer = Viewer(request)
    if not viewer.backend or not viewer.subjects:
        return {"viewer": None}
    situation = Situation(viewer.backend)
    context = _head(viewer, situation)
    if viewer.may_see(Subject.QUEUE):
        context["queues"] = [_queue(viewer, queue) for queue in situation.queues]
    if viewer.may_see(Subject.JOB):
        context["running"] = [_running(viewer, job) for job in running_jobs(viewer.backend, MOST_RUNNING)]
    if viewer.may_see(Subject.SCHEDULE):
        context["schedules"] = [_schedule(viewer, row) for row in upcoming(MOST_SCHEDULES, viewer.backend)]
    if viewer.may_see(Subject.WORKER):
        shown = sorted(situation.workers, key=lambda worker: (not worker.alive, not worker.stale))[:MOST_WORKERS]
        context["workers"] = [_worker(viewer, worker) for worker in shown if worker.alive or worker.stale]
    if viewer.may_see(Subject.RESULT):
        context |= _history(viewer, situation)
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
        "tiles": _tiles(viewer, situation),
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


def _tiles(viewer: Viewer, situation: Situation) -> list[dict[str, Any]]:
    """Return the few numbers at the top."""
    tiles = []
    if viewer.may_see(Subject.QUEUE):
        for status, label in (
            (JobStatus.READY, _("Ready")),
            (JobStatus.RUNNING, _("Running")),
            (JobStatus.SCHEDULED, _("Scheduled")),
        ):
            counts = [getattr(queue, status.lower()) for queue in situation.queues]
            value = counted(sum(counts[1:], counts[0])) if counts else "0"
            tiles.append({"label": label, "value": value, "url": viewer.url(Job, status=status)})
    if viewer.may_see(Subject.WORKER):
        slots = sum(worker.concurrency for worker in situation.alive)
        busy = _("%(busy)d of %(slots)d busy") % {
            "busy": sum(worker.running for worker in situation.alive),
            "slots": slots,
        }
        url = viewer.url(Worker)
        tiles.append({"label": _("Workers"), "value": number(len(situation.alive)), "note": busy, "url": url})
    if viewer.may_see(Subject.RESULT):
        tiles += _results(viewer, situation)
    return tiles


def _results(viewer: Viewer, situation: Situation) -> list[dict[str, Any]]:
    hour, lately = total(situation.hour), total(situation.hour[-6:-1])
    rate = hour.failure_rate
    return [
        {
            "label": _("Finished per minute"),
            "value": number_format(f"{lately.finished / 5:.3g}")
            if lately.finished < 5_000
            else number(lately.finished // 5),
            "note": _("%s in the last hour") % number(hour.finished),
            "url": viewer.url(Result),
        },
        {
            "label": _("Failed in the last hour"),
            "value": number(hour.failed),
            "note": _share(rate),
            "url": viewer.url(Result, status=ResultStatus.FAILED),
            "is_bad": bool(hour.failed),
        },
        {"label": _("Wait time"), "value": duration(hour.wait_time(0.95)), "note": _("p95 of the last hour")},
    ]


def _share(rate: float | None) -> str:
    if rate is None:
        return NOTHING
    return percent(rate) if not rate or rate >= 0.001 else _("less than 0.1%")


def _queue(viewer: Viewer, queue: QueueStats) -> dict[str, object]:
    counts = [
        link(viewer.url(Job, queue=queue.name, status=status), counted(held)) if held.number else "0"
        for status in (JobStatus.READY, JobStatus.RUNNING, JobStatus.SCHEDULED, JobStatus.WAITING)
        for held in [getattr(queue, status.lower())]
    ]
    return {
        "name": link(viewer.url(Job, queue=queue.name), storable(queue.name)),
        "state": _queue_state(queue),
        "counts": counts,
        "oldest": duration(queue.oldest_ready_seconds),
        "workers": queue.workers,
    }


def _queue_state(queue: QueueStats) -> str:
    if queue.paused:
        return badge("paused", _("Paused"))
    if queue.ready and not queue.workers:
        return badge("unheard", _("No worker"))
    return badge("running", _("Running")) if queue.running else badge("ready", _("Open"))


def _running(viewer: Viewer, job: RunningJob) -> dict[str, object]:
    return {
        "task": link(viewer.url(Job, "change", job.id), storable(job.task_path)),
        "queue": storable(job.queue_name),
        "worker": link(viewer.url(Worker, "change", job.worker_id), storable(job.worker_id)),
        "attempt": job.attempt,
        "since": duration(job.seconds),
        "progress": _progress(job.progress),
        "to_cancel": job.cancel_requested_at is not None,
    }


def _progress(said: Progress | None) -> dict[str, object] | None:
    """Return a job's progress, with the percentage if known."""
    if said is None:
        return None
    share = 100 * said.done / said.total if said.total else None
    return {
        "text": shortened(progress_text(said, number)),
        "percent": None if share is None else round(min(max(share, 0.0), 100.0)),
    }


def _schedule(viewer: Viewer, row: Schedule) -> dict[str, object]:
    return {
        "name": link(viewer.url(Schedule, "change", row.pk), storable(row.name)),
        "words": words(row),
        "next": next_run(row),
    }


def _worker(viewer: Viewer, worker: WorkerState) -> dict[str, object]:
    state = badge("stale", _("Stale")) if worker.stale else badge("online", _("Online"))
    if worker.alive and worker.status == "DRAINING":
        state = badge("draining", _("Draining"))
    return {
        "name": link(viewer.url(Worker, "change", worker.id), code(worker.id)),
        "state": state,
        "queues": names(worker.queues) or _("all"),
        "running": worker.running,
        "concurrency": worker.concurrency,
        "memory": size(worker.memory),
        "finished": number(worker.finished),
        "heartbeat": moment(worker.heartbeat_at),
    }


def _history(viewer: Viewer, situation: Situation) -> dict[str, Any]:
    """Return the charts of the span and the most notable tasks."""
    points = situation.hour if viewer.span == Span.HOUR else series(viewer.span, situation.backend)
    tasks = task_figures(viewer.span, viewer.backend)
    slow = sorted(tasks, key=lambda task: task.figures.run_time(0.95) or 0.0, reverse=True)[:MOST_TASKS]
    failing = [task for task in tasks if task.figures.failed or task.figures.retried or task.figures.lost]
    failing.sort(key=lambda task: (task.figures.failed, task.figures.retried), reverse=True)
    return {
        "has_history": True,
        "charts": charts(points, viewer.span),
        "rows": [_row(point.at, point.figures) for point in reversed(points) if point.figures.finished],
        "slow_tasks": [_slow(viewer, task) for task in slow],
        "failing_tasks": [_failing(viewer, task) for task in failing[:MOST_TASKS]],
        "is_counting": situation.broker.options.statistics,
    }


def _row(at: Any, figures: Figures) -> dict[str, Any]:
    return {
        "at": timezone.localtime(at) if timezone.is_aware(at) else at,
        "counts": [figures.successful, figures.failed, figures.retried, figures.lost],
        "times": [*_times(figures.wait_time, SHARES[:2]), *_times(figures.run_time, SHARES[:2])],
    }


def _times(of: Any, shares: Sequence[float]) -> list[str]:
    return [duration(of(share)) for share in shares]


def _slow(viewer: Viewer, task: TaskFigures) -> dict[str, Any]:
    figures = task.figures
    return {
        "task": link(viewer.url(Result, task=task.task_path), storable(task.task_path)),
        "finished": number(figures.finished),
        "runs": _times(figures.run_time, SHARES),
        "waits": _times(figures.wait_time, SHARES),
    }


def _failing(viewer: Viewer, task: TaskFigures) -> dict[str, Any]:
    figures = task.figures
    url = viewer.url(Result, task=task.task_path, status=ResultStatus.FAILED)
    return {
        "task": link(url, storable(task.task_path)),
        "failed": number(figures.failed),
        "share": _share(figures.failure_rate),
        "retried": number(figures.retried),
        "lost": number(figures.lost),
    }
