"""How many jobs or results there are over time, without reading more than some of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import QuerySet
from django.utils import timezone

from ..brokers import get_broker
from ..ids import first_id_at, moment_of
from ..lifecycle import JobStatus, ResultStatus
from ..models import Job, Result
from .counts import Count, Precision, at_least, estimate_each

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["MOST_BARS", "MOST_COUNTED", "MOST_JOBS", "Bar", "job_histogram", "result_histogram", "step_for"]

MOST_BARS = 60
# Results that are counted for one status in one bar; beyond that, the planner's estimate is used.
MOST_COUNTED = 500
# Jobs that are read, the newest first.
MOST_JOBS = 20_000
SECOND, MINUTE, HOUR, DAY = 1, 60, 3_600, 86_400
STEPS = (
    SECOND, 2, 5, 10, 30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR,
    12 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """A span of time, and how many there are of each status in it."""

    start: datetime
    end: datetime
    counts: dict[str, Count]


def step_for(length: timedelta) -> timedelta:
    """Return the shortest usual span that divides a length of time into at most MOST_BARS bars."""
    seconds = length.total_seconds()
    return timedelta(seconds=next((step for step in STEPS if seconds <= step * MOST_BARS), seconds / MOST_BARS))


def result_histogram(backend: str, start: datetime, end: datetime) -> list[Bar]:
    """Count the results in the database of a backend by when they finished and by status. start, end: aware.

    One statement reads at most MOST_COUNTED index entries for each cell; a second one asks the planner about cells
    with more.
    """
    spans = _spans(start, end)
    cells = [(status, *span) for span in spans for status in ResultStatus.values]
    counts = _count_cells(get_broker(backend), cells)
    number = len(ResultStatus.values)
    return [
        Bar(*span, dict(zip(ResultStatus.values, counts[index * number : (index + 1) * number], strict=True)))
        for index, span in enumerate(spans)
    ]


def _count_cells(broker: "Broker", cells: Sequence[tuple[str, datetime, datetime]]) -> list[Count]:
    parameters = [[status, *(_stored(broker.connection, moment) for moment in span)] for status, *span in cells]
    count = _count_by_row if broker.dialect.limits_by_row else _count_one_by_one
    found = count(broker.connection, parameters)
    many = [n for n in range(len(cells)) if found[n] > MOST_COUNTED]
    select = _select("%s", "%s", "%s")
    estimates = dict(zip(many, estimate_each(broker.using, select, [parameters[n] for n in many]), strict=True))
    return [_settled(found[n], estimates.get(n)) for n in range(len(cells))]


def _count_by_row(connection: BaseDatabaseWrapper, parameters: Sequence[Sequence[object]]) -> dict[int, int]:
    """Count with one plan for all cells: planning each takes longer than counting."""
    bounded = _bounded(_select("v.status", "v.began", "v.ended"))
    first = "SELECT %s AS n, %s AS status, %s AS began, %s AS ended"
    others = " UNION ALL SELECT %s, %s, %s, %s" * (len(parameters) - 1)
    values = [value for n, cell in enumerate(parameters) for value in (n, *cell)]
    return _ask(connection, f"SELECT v.n, {bounded} FROM ({first}{others}) v", values)


def _count_one_by_one(connection: BaseDatabaseWrapper, parameters: Sequence[Sequence[object]]) -> dict[int, int]:
    bounded = _bounded(_select("%s", "%s", "%s"))
    parts = " UNION ALL ".join(f"SELECT {n} AS n, {bounded} AS found" for n in range(len(parameters)))
    return _ask(connection, parts, [value for cell in parameters for value in cell])


def _select(status: str, began: str, ended: str) -> str:
    where = f"r.status = {status} AND r.finished_at >= {began} AND r.finished_at < {ended}"
    return f"SELECT 1 AS one FROM {Result._meta.db_table} r WHERE {where}"


def _bounded(select: str) -> str:
    return f"(SELECT COUNT(*) FROM ({select} LIMIT {MOST_COUNTED + 1}) c)"


def _ask(connection: BaseDatabaseWrapper, sql: str, values: Sequence[Any]) -> dict[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return dict(cursor.fetchall())


def _stored(connection: BaseDatabaseWrapper, moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment if settings.USE_TZ else timezone.make_naive(moment))


def _settled(found: int, expected: int | None) -> Count:
    if found <= MOST_COUNTED:
        return Count(found)
    return at_least(MOST_COUNTED) if expected is None else Count(max(expected, MOST_COUNTED), Precision.ABOUT)


def job_histogram(jobs: QuerySet[Job], start: datetime, end: datetime) -> tuple[list[Bar], bool]:
    """Count live jobs by status and time of enqueueing, taken from their ids; return also whether all were read."""
    rows = jobs.filter(pk__gte=first_id_at(start), pk__lt=first_id_at(end)).order_by("-pk")
    found = list(rows.values_list("pk", "status")[: MOST_JOBS + 1])
    spans = _spans(start, end)
    step = spans[0][1] - spans[0][0]
    tally = Counter(((moment_of(key) - spans[0][0]) // step, status) for key, status in found[:MOST_JOBS])
    bars = [
        Bar(*span, {status: Count(tally[index, status]) for status in JobStatus.values})
        for index, span in enumerate(spans)
    ]
    return bars, len(found) <= MOST_JOBS


def _spans(start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Split a span of time into equal ones, with bounds at whole steps since the epoch."""
    step = step_for(end - start)
    first = start - timedelta(seconds=start.timestamp() % step.total_seconds())
    spans = []
    while first < end:
        spans.append((first, first + step))
        first += step
    return spans
