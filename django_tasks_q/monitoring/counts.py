import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import connections
from django.db.models import Model, QuerySet

from ..backend import aliases_in
from ..brokers import get_broker
from ..lifecycle import ResultStatus
from ..models import Result

__all__ = [
    "BOUND",
    "Count",
    "Precision",
    "approximate",
    "at_least",
    "count",
    "count_up_to",
    "estimate",
    "estimate_each",
    "plain",
    "result_counts",
    "settle",
]

# Rows that are counted one by one; beyond that, the planner's estimate is used.
BOUND = 10_000
# The planners' names for the rows that they expect: PostgreSQL, MySQL 8, MySQL 9, MariaDB.
EXPECTED_ROWS = ("Plan Rows", "rows_produced_per_join", "estimated_rows", "rows")


class Precision(StrEnum):
    EXACT = "exact"
    ABOUT = "about"
    AT_LEAST = "at least"


ROUGHNESS = list(Precision)


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows and how exact it is: written 1,204, ~1,204,000 or 10,000+."""

    number: int
    precision: Precision = Precision.EXACT

    @property
    def is_exact(self) -> bool:
        return self.precision == Precision.EXACT

    def __add__(self, other: "Count") -> "Count":
        # The less exact of the two decides how exact the sum is.
        return Count(self.number + other.number, max(self.precision, other.precision, key=ROUGHNESS.index))

    def __int__(self) -> int:
        return self.number

    def __bool__(self) -> bool:
        return self.number > 0 or not self.is_exact

    def __str__(self) -> str:
        before = "~" if self.precision == Precision.ABOUT else ""
        after = "+" if self.precision == Precision.AT_LEAST else ""
        return f"{before}{self.number:,}{after}"


def count(rows: QuerySet[Model], *, along: Sequence[str] = ()) -> Count:
    """Count rows that an index leads to: exactly up to BOUND, by the planner's estimate beyond.

    along: the order of that index, for cases in which a planner might choose another one.
    """
    return settle(rows, _bounded(rows.order_by(*along) if along else rows))


def count_up_to(rows: QuerySet[Model]) -> Count:
    """Count rows exactly up to BOUND: for conditions that a planner cannot estimate."""
    return Count(number) if (number := _bounded(rows)) <= BOUND else at_least(BOUND)


def _bounded(rows: QuerySet[Model]) -> int:
    return rows.values("pk")[: BOUND + 1].count()


def settle(rows: QuerySet[Model], counted: int) -> Count:
    """Return the number of rows, given that `counted` were counted: exact, unless that is more than BOUND."""
    return Count(counted) if counted <= BOUND else approximate(rows, counted - 1)


def approximate(rows: QuerySet[Model], found: int) -> Count:
    """Return the planner's estimate of the number of rows, or if it has none, at least as many as were found."""
    expected = estimate(rows)
    return at_least(found) if expected is None else Count(_round(max(expected, found)), Precision.ABOUT)


def at_least(number: int) -> Count:
    return Count(number, Precision.AT_LEAST)


def plain(values: Mapping[str, object]) -> dict[str, object]:
    """Return counts as numbers, and under "inexact", which of them are not exact and in what way."""
    counts = {name: value for name, value in values.items() if isinstance(value, Count)}
    inexact = {name: str(value.precision) for name, value in counts.items() if not value.is_exact}
    return {**values, **{name: value.number for name, value in counts.items()}, "inexact": inexact}


def result_counts(backend: str = "default") -> dict[str, Count]:
    """Return the number of results of each status."""
    rows = Result.objects.using(get_broker(backend).using)
    if _is_shared(backend):
        return {status: _share(rows.filter(status=status), backend) for status in ResultStatus.values}
    counts = {status: count(rows.filter(status=status)) for status in ResultStatus.values}
    return counts | _remainder(rows.all(), counts)


def _is_shared(backend: str) -> bool:
    """Return whether another backend keeps its results in the same table."""
    return any(alias != backend for alias in aliases_in(get_broker(backend).using))


def _share(rows: QuerySet[Result], backend: str) -> Count:
    # The index does not contain the backend: limit the rows read, not the rows found.
    newest = list(rows.order_by("-finished_at").values_list("backend", flat=True)[: BOUND + 1])
    found = newest.count(backend)
    if len(newest) <= BOUND:
        return Count(found)
    expected = estimate(rows)
    if expected is None:
        return at_least(found)
    return Count(_round(max(expected * found // len(newest), found)), Precision.ABOUT)


def _remainder(rows: QuerySet[Result], counts: dict[str, Count]) -> dict[str, Count]:
    """Return the largest count as the rest of the total: for most of a table, some planners expect half."""
    largest = max(counts, key=lambda status: counts[status].number)
    if counts[largest].precision != Precision.ABOUT:
        return {}
    others = sum(number.number for status, number in counts.items() if status != largest)
    left = (estimate(rows) or 0) - others
    return {largest: Count(_round(max(left, counts[largest].number)), Precision.ABOUT)}


def estimate(rows: QuerySet[Model]) -> int | None:
    """Return how many rows the planner expects, or None if the database's planner does not say."""
    if "JSON" not in connections[rows.db].features.supported_explain_formats:
        return None
    plan = json.loads(rows.order_by().values("pk").explain(format="JSON"))
    if isinstance(plan, str):
        # MySQL returns text, which Django takes for a value.
        plan = json.loads(plan)
    return next((int(number) for number in _expected_rows(plan)), None)


def estimate_each(using: str, select: str, parameters: Sequence[Sequence[Any]]) -> list[int | None]:
    """Return how many rows the planner expects from a statement with each of these parameters, in one query."""
    connection = connections[using]
    if not parameters or "JSON" not in connection.features.supported_explain_formats:
        return [None] * len(parameters)
    # Behind a limit, or the planner would split a part among several processes, and report the share of one.
    parts = " UNION ALL ".join([f"({select} LIMIT 1000000000)"] * len(parameters))
    with connection.cursor() as cursor:
        prefix = connection.ops.explain_query_prefix("JSON")
        cursor.execute(f"{prefix} {parts}", [value for values in parameters for value in values])
        plan = cursor.fetchone()[0]
    branches = _branches(json.loads(plan) if isinstance(plan, str | bytes) else plan, len(parameters))
    return [next((int(number) for number in _expected_rows(branch)), None) for branch in branches]


def _branches(plan: object, number: int) -> list[object]:
    """Return the parts of a plan for the parts of a union; nothing for each if they cannot be identified."""
    found = [plan] if number == 1 else next(_unions(plan, number), None)
    return [None] * number if found is None else found


def _unions(plan: object, number: int) -> Iterator[list[object]]:
    if isinstance(plan, dict):
        for name in ("Plans", "query_specifications"):
            if isinstance(plan.get(name), list) and len(plan[name]) == number:
                yield plan[name]
    for part in plan.values() if isinstance(plan, dict) else plan if isinstance(plan, list) else ():
        yield from _unions(part, number)


def _expected_rows(plan: object) -> Iterator[float]:
    if isinstance(plan, dict):
        yield from (plan[name] for name in EXPECTED_ROWS if isinstance(plan.get(name), int | float))
        plan = list(plan.values())
    if isinstance(plan, list):
        for part in plan:
            yield from _expected_rows(part)


def _round(number: int) -> int:
    """Return an estimate to four digits: more would suggest false precision."""
    return int(round(number, 4 - len(str(number))))
