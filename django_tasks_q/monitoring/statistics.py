"""Reads the statistics table: series for charts, and figures for tasks and queues."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet, Sum

from ..brokers import get_broker
from ..models.statistics import BUCKETS, COUNTS, RUNS, SUMS, WAITS, Statistics

__all__ = [
    "Figures",
    "Point",
    "Span",
    "TaskFigures",
    "finished_by_queue",
    "quantile",
    "series",
    "task_figures",
    "total",
    "usual_failure_rate",
]

FIRST_BOUND = 2.0**-10
NOTHING: Mapping[str, object] = dict.fromkeys(SUMS, 0)
MOST_TASKS = 1_000


class Span(StrEnum):
    """How far back to look. step: seconds covered by one point of a series."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def seconds(self) -> int:
        return {"hour": 3_600, "day": 86_400, "week": 604_800}[self]

    @property
    def step(self) -> int:
        return {"hour": 60, "day": 1_800, "week": 10_800}[self]


@dataclass(frozen=True, slots=True)
class Figures:
    """What happened to some jobs within some time. runs, waits: histograms, see models/statistics.py."""

    successful: int
    failed: int
    cancelled: int
    retried: int
    lost: int
    run_seconds: float
    wait_seconds: float
    runs: tuple[int, ...]
    waits: tuple[int, ...]

    @property
    def finished(self) -> int:
        return self.successful + self.failed + self.cancelled

    @property
    def failure_rate(self) -> float | None:
        """The share of finished jobs that failed; None if none finished."""
        return self.failed / self.finished if self.finished else None

    def run_time(self, share: float) -> float | None:
        """Return the seconds within which this share of the runs ended; None if there were none."""
        return quantile(self.runs, share)

    def wait_time(self, share: float) -> float | None:
        """Return the seconds within which this share of the jobs had started; None if there were none."""
        return quantile(self.waits, share)


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a series. at: when it begins."""

    at: datetime
    figures: Figures


@dataclass(frozen=True, slots=True)
class TaskFigures:
    task_path: str
    figures: Figures


def series(span: Span, backend: str = "default") -> list[Point]:
    """Return what happened in the span, step by step, including empty steps; the last step is not over yet."""
    first, steps = _first_step(span, backend)
    found = _sums(_since(first, backend), "at")
    step = timedelta(seconds=span.step)
    sums: list[dict[str, object]] = [dict(NOTHING) for _ in range(steps)]
    for row in found:
        # An hour that began before the span belongs to its first step.
        index = max(0, (row["at"] - first) // step)
        if index < steps:
            _add(sums[index], row)
    return [Point(first + index * step, _figures(row)) for index, row in enumerate(sums)]


def task_figures(span: Span, backend: str = "default") -> list[TaskFigures]:
    """Return what happened to each task in the span, by its path: to the thousand first of them."""
    first, _ = _first_step(span, backend)
    rows = _sums(_since(first, backend), "task_path").order_by("task_path")[:MOST_TASKS]
    return [TaskFigures(row["task_path"], _figures({name: row[f"sum_{name}"] for name in SUMS})) for row in rows]


def finished_by_queue(seconds: float, backend: str = "default") -> dict[str, int]:
    """Return how many jobs of each queue have finished in about the last `seconds` seconds."""
    since = get_broker(backend).dialect.now() - timedelta(seconds=seconds)
    names = COUNTS[:3]
    rows: Any = _since(since, backend).values("queue_name").annotate(**{f"sum_{name}": Sum(name) for name in names})
    return {row["queue_name"]: sum(int(row[f"sum_{name}"]) for name in names) for row in rows.order_by()}


def usual_failure_rate(before: datetime, backend: str = "default") -> float:
    """Return the share of failures among the jobs finished within the day before a time; zero if there were none."""
    rows = _since(before - timedelta(days=1), backend).filter(at__lt=before)
    sums = rows.aggregate(**{f"sum_{name}": Sum(name) for name in COUNTS[:3]})
    finished = sum(int(number or 0) for number in sums.values())
    return int(sums["sum_failed"] or 0) / finished if finished else 0.0


def quantile(histogram: Sequence[int], share: float) -> float | None:
    """Return the quantile of a histogram in seconds, interpolated within its bucket.

    Values beyond the last bound count as that bound. None if the histogram is empty.
    """
    rank, passed = share * sum(histogram), 0
    for bucket, number in enumerate(histogram):
        if number and passed + number >= rank:
            return _within(bucket, max(0.0, rank - passed) / number)
        passed += number
    return None


def _within(bucket: int, part: float) -> float:
    upper = FIRST_BOUND * 2.0**bucket
    if bucket == 0:
        return upper * part
    # The bounds of a bucket differ by a factor of two, and so do its values, more or less.
    return upper / 2 * (1.0 if bucket == BUCKETS - 1 else 2.0**part)


def _first_step(span: Span, backend: str) -> tuple[datetime, int]:
    """Return when the first step begins, on a round minute of the clock, and how many there are."""
    now = get_broker(backend).dialect.now()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    step = timedelta(seconds=span.step)
    last = midnight + (now - midnight) // step * step
    steps = span.seconds // span.step
    return last - (steps - 1) * step, steps


def _since(moment: datetime, backend: str) -> QuerySet[Statistics]:
    rows = Statistics.objects.using(get_broker(backend).using)
    # Both periods are named, so that the key leads to the time.
    return rows.filter(backend=backend, period__in=(60, 3_600), at__gte=moment)


def _sums(rows: QuerySet[Statistics], by: str) -> Any:
    return rows.values(by).annotate(**{f"sum_{name}": Sum(name) for name in SUMS}).order_by()


def _add(sums: dict[str, Any], row: Mapping[str, Any]) -> None:
    for name in SUMS:
        sums[name] += row[f"sum_{name}"]


def _figures(sums: Mapping[str, Any]) -> Figures:
    # Some drivers give a sum as a Decimal.
    return Figures(
        successful=int(sums["successful"]),
        failed=int(sums["failed"]),
        cancelled=int(sums["cancelled"]),
        retried=int(sums["retried"]),
        lost=int(sums["lost"]),
        run_seconds=float(sums["run_seconds"]),
        wait_seconds=float(sums["wait_seconds"]),
        runs=_histogram(sums, RUNS),
        waits=_histogram(sums, WAITS),
    )


def _histogram(sums: Mapping[str, Any], names: Iterable[str]) -> tuple[int, ...]:
    return tuple(int(sums[name]) for name in names)


def total(points: Iterable[Point]) -> Figures:
    """Return the figures of several points together."""
    sums = dict(NOTHING)
    for point in points:
        for name, value in _values(point.figures):
            sums[name] += value
    return _figures(sums)


def _values(figures: Figures) -> Iterator[tuple[str, Any]]:
    for name in (*COUNTS, "run_seconds", "wait_seconds"):
        yield name, getattr(figures, name)
    yield from zip(RUNS, figures.runs, strict=True)
    yield from zip(WAITS, figures.waits, strict=True)
