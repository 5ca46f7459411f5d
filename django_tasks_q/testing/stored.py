"""Results of jobs, many at once."""

from collections.abc import Sequence
from typing import Any

from ..brokers import get_database
from ..models import Job, Result
from ..results import TasksQResult, result_of_any_task

__all__ = ["stored_results"]

# Ids in one statement.
MOST_IDS = 500


def stored_results(alias: str, ids: Sequence[str] | None = None) -> list[TasksQResult[Any]]:
    """Return the results of a backend's jobs, finished or not: of all, or of those with these ids that are there."""
    return [result_of_any_task(row) for model in (Job, Result) for row in _rows(model, alias, ids)]


def _rows(model: type[Job] | type[Result], alias: str, ids: Sequence[str] | None) -> list[Any]:
    rows = model.objects.using(get_database(alias)).filter(backend=alias)
    if ids is None:
        return list(rows)
    batches = [ids[start : start + MOST_IDS] for start in range(0, len(ids), MOST_IDS)]
    return [row for batch in batches for row in rows.filter(pk__in=batch)]
