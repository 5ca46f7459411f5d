"""The dashboard's data as JSON for scripts: read only; see urls.py for the paths.

Allowed to clients that send OPTIONS["api_token"] as bearer token, and to staff with permission to view what they
request.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from datetime import datetime
from functools import wraps
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .backend import backend_aliases
from .brokers import get_broker
from .exceptions import InvalidSchedule
from .lifecycle import JobStatus
from .models import Schedule
from .moments import to_aware
from .monitoring.counts import Count, plain, result_counts
from .monitoring.health import health
from .monitoring.problems import Situation, troubles
from .monitoring.queues import QueueStats, queue_stats
from .monitoring.running import running_jobs
from .monitoring.schedules import list_schedules, next_runs, state
from .monitoring.statistics import Figures, Span, series, task_figures, total
from .monitoring.workers import workers

__all__ = [
    "health_view",
    "jobs_view",
    "queues_view",
    "schedules_view",
    "statistics_view",
    "summary_view",
    "workers_view",
]

View = Callable[[HttpRequest], JsonResponse]
Answer = Callable[[HttpRequest, str], JsonResponse]
MOST_RUNNING = 100
NEXT_RUNS = 5
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def answers(*models: str) -> Callable[[Answer], View]:
    """Make a view of a function that answers for a backend. models: staff need permission to view these."""

    def decorate(answer: Answer) -> View:
        @wraps(answer)
        def respond(request: HttpRequest) -> JsonResponse:
            backend = request.GET.get("backend", "default")
            is_known = backend in backend_aliases()
            if not _may_see(request, backend if is_known else None, models):
                return _refuse(request)
            if not is_known:
                return _error(404, "Unknown backend.")
            return answer(request, backend)

        checked: View = never_cache(require_safe(respond))
        return checked

    return decorate


def _may_see(request: HttpRequest, backend: str | None, models: Iterable[str]) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        wanted = get_broker(backend).options.api_token if backend is not None else None
        return wanted is not None and constant_time_compare(token.strip(), wanted)
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_active or not user.is_staff:
        return False
    return all(user.has_perm(f"django_tasks_q.view_{model}") for model in models)


def _refuse(request: HttpRequest) -> JsonResponse:
    user: Any = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return _error(403, "You do not have permission to view this.")
    response = _error(401, 'Log in as staff, or send OPTIONS["api_token"] as "Authorization: Bearer <token>".')
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _error(status: int, text: str) -> JsonResponse:
    return JsonResponse({"error": text}, status=status)


@answers("job", "result", "queue", "worker", "schedule")
def summary_view(request: HttpRequest, backend: str) -> JsonResponse:
    situation = Situation(backend)
    return JsonResponse(
        {
            "backend": backend,
            "troubles": [asdict(trouble) for trouble in troubles(situation)],
            "jobs": _jobs(situation.queues),
            "workers": {
                "alive": len(situation.alive),
                "running": sum(worker.running for worker in situation.alive),
                "concurrency": sum(worker.concurrency for worker in situation.alive),
            },
            "last_hour": _figures(total(situation.hour)),
        }
    )


@answers("queue")
def queues_view(request: HttpRequest, backend: str) -> JsonResponse:
    queues = [plain(_fields(queue)) for queue in queue_stats(backend)]
    return JsonResponse({"backend": backend, "queues": queues})


@answers("worker")
def workers_view(request: HttpRequest, backend: str) -> JsonResponse:
    return JsonResponse({"backend": backend, "workers": [asdict(worker) for worker in workers(backend)]})


@answers("job", "result")
def jobs_view(request: HttpRequest, backend: str) -> JsonResponse:
    document = {
        "backend": backend,
        "jobs": _jobs(queue_stats(backend)),
        "results": plain(result_counts(backend)),
        "running": [asdict(job) for job in running_jobs(backend, MOST_RUNNING)],
    }
    return JsonResponse(document)


@answers("result")
def statistics_view(request: HttpRequest, backend: str) -> JsonResponse:
    given = request.GET.get("span", Span.HOUR)
    if given not in list(Span):
        return _error(400, f"span must be one of {', '.join(Span)}.")
    span = Span(given)
    document = {
        "backend": backend,
        "span": span,
        "step": span.step,
        "series": [{"at": point.at} | _figures(point.figures) for point in series(span, backend)],
        "tasks": [{"task_path": task.task_path} | _figures(task.figures) for task in task_figures(span, backend)],
    }
    return JsonResponse(document)


@answers("schedule")
def schedules_view(request: HttpRequest, backend: str) -> JsonResponse:
    rows = list_schedules(backend)
    return JsonResponse({"backend": backend, "schedules": [_schedule(row) for row in rows]})


@answers("job", "queue", "worker")
def health_view(request: HttpRequest, backend: str) -> JsonResponse:
    found = health(backend)
    document = {"backend": backend, "ok": found.ok, "workers": found.workers, "problems": found.problems}
    return JsonResponse(document, status=200 if found.ok else 503)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _jobs(queues: list[QueueStats]) -> dict[str, object]:
    """Return the live jobs of all queues by status."""
    return plain(
        {status: sum((getattr(queue, status.lower()) for queue in queues), Count(0)) for status in JobStatus.values}
    )


def _figures(figures: Figures) -> dict[str, object]:
    counts = ("successful", "failed", "cancelled", "retried", "lost", "run_seconds", "wait_seconds")
    return {
        **{name: getattr(figures, name) for name in counts},
        "run_time": {name: figures.run_time(share) for name, share in SHARES.items()},
        "wait_time": {name: figures.wait_time(share) for name, share in SHARES.items()},
    }


def _schedule(row: Schedule) -> dict[str, object]:
    """Return a schedule without its task's arguments, which may be secret."""
    columns = (
        "name", "origin", "task_path", "kind", "expression", "timezone", "next_run_at", "last_run_at", "last_job_id",
        "total_runs", "reason",
    )  # fmt: skip
    return {name: getattr(row, name) for name in columns} | {"state": state(row), "next_runs": _next_runs(row)}


def _next_runs(row: Schedule) -> list[datetime]:
    """Return when it runs, the soonest first: empty if it is stopped, or no longer valid."""
    if row.next_run_at is None:
        return []
    first = to_aware(row.next_run_at)
    try:
        return [first, *next_runs(row, NEXT_RUNS - 1, after=first)]
    except InvalidSchedule:
        return [first]
