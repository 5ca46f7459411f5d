"""The history of the chosen span: the charts, and the slowest and the most failing tasks."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.utils import timezone

from ...lifecycle import ResultStatus
from ...models import Result
from ...monitoring.problems import Situation
from ...monitoring.statistics import Figures, Span, TaskFigures, series, task_figures
from ..display import duration, link, number, storable
from .charts import charts
from .tiles import share_text
from .viewer import Viewer

__all__ = ["history"]

# Rows of a table of tasks.
MOST_TASKS = 8
SHARES = (0.5, 0.95, 0.99)


def history(viewer: Viewer, situation: Situation) -> dict[str, object]:
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


def _row(at: datetime, figures: Figures) -> dict[str, object]:
    return {
        "at": timezone.localtime(at) if timezone.is_aware(at) else at,
        "counts": [figures.successful, figures.failed, figures.retried, figures.lost],
        "times": [*_times(figures.wait_time, SHARES[:2]), *_times(figures.run_time, SHARES[:2])],
    }


def _times(of: Callable[[float], float | None], shares: Sequence[float]) -> list[str]:
    return [duration(of(share)) for share in shares]


def _slow(viewer: Viewer, task: TaskFigures) -> dict[str, object]:
    figures = task.figures
    return {
        "task": link(viewer.url(Result, task=task.task_path), storable(task.task_path)),
        "finished": number(figures.finished),
        "runs": _times(figures.run_time, SHARES),
        "waits": _times(figures.wait_time, SHARES),
    }


def _failing(viewer: Viewer, task: TaskFigures) -> dict[str, object]:
    figures = task.figures
    url = viewer.url(Result, task=task.task_path, status=ResultStatus.FAILED)
    return {
        "task": link(url, storable(task.task_path)),
        "failed": number(figures.failed),
        "share": share_text(figures.failure_rate),
        "retried": number(figures.retried),
        "lost": number(figures.lost),
    }
