"""Failures, grouped by error: the same exception at the same location.

The index leads to the newest failures by finish time, and contains the group of each: no traceback is read.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Min, QuerySet
from django.utils import timezone

from ..lifecycle import ResultStatus
from ..models import Result

__all__ = ["MOST_GROUPS", "SEARCHED", "FailureGroup", "failure_groups", "newest_failures"]

# How many of the newest failures are read.
SEARCHED = 50_000
MOST_GROUPS = 100


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Similar failures. error: the exception and the location, None if unknown; sample: the last one."""

    error: str | None
    count: int
    first: datetime
    last: datetime
    sample: Result | None


def failure_groups(
    results: QuerySet[Result], within: timedelta | None = None, most: int = MOST_GROUPS
) -> tuple[list[FailureGroup], bool]:
    """Return the groups, the largest first, and whether all failures were read.

    results: of one database. within: only failures this recent.
    """
    failed, is_complete = newest_failures(results)
    if within is not None:
        since = timezone.now() - within
        is_complete = is_complete or failed.filter(finished_at__lt=since).exists()
        failed = failed.filter(finished_at__gte=since)
    # Not by the key, which is not in the index.
    facts = {"number": Count("*"), "first": Min("finished_at"), "last": Max("finished_at")}
    found: QuerySet[Any, Any] = failed.order_by().values("error_group").annotate(**facts)
    groups = list(found.order_by("-number", "error_group")[:most])
    samples = _samples(failed, groups)
    return [
        FailureGroup(
            group["error_group"], group["number"], group["first"], group["last"], samples.get(group["error_group"])
        )
        for group in groups
    ], is_complete


def newest_failures(results: QuerySet[Result]) -> tuple[QuerySet[Result], bool]:
    """Return the newest SEARCHED failures, and whether these are all."""
    failed = results.filter(status=ResultStatus.FAILED)
    oldest = failed.order_by("-finished_at").values_list("finished_at", flat=True)[SEARCHED : SEARCHED + 1].first()
    return (failed, True) if oldest is None else (failed.filter(finished_at__gt=oldest), False)


def _samples(failed: QuerySet[Result], groups: list[dict[str, object]]) -> dict[str | None, Result]:
    """Return the last failure of each group, without its payloads: the index leads to their times."""
    rows = failed.filter(finished_at__in={group["last"] for group in groups}).only(
        "id", "backend", "task_path", "queue_name", "reason", "error_group", "finished_at"
    )
    last = {group["error_group"]: group["last"] for group in groups}
    return {row.error_group: row for row in rows if last.get(row.error_group) == row.finished_at}
