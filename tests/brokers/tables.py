"""What the tables hold, in the form in which the books have it."""

from typing import Any

from django_tasks_q.models import Job, Result

from .books import LOST, Entry

__all__ = ["as_row", "rows"]

COLUMNS = ("queue_name", "priority", "status", "worker_id", "attempt", "failures", "losses", "errors", "reason")


def rows(model: type[Job | Result]) -> dict[str, tuple[Any, ...]]:
    """Return what a table holds, by id."""
    return {
        str(row.id): (
            *(_shown(row, name) for name in COLUMNS),
            row.started_at is None,
            getattr(row, "return_value", None),
            getattr(row, "cancel_reason", None),
        )
        for row in model.objects.all()
    }


def _shown(row: Job | Result, name: str) -> Any:
    value = getattr(row, name)
    if name == "errors":
        return len(value)
    of_a_rescue = "was lost with it", "not known to have begun"
    return LOST if name == "reason" and any(text in value for text in of_a_rescue) else value


def as_row(entry: Entry) -> tuple[Any, ...]:
    """Return what the row of an entry should hold."""
    return (
        *(entry.queue, entry.priority, entry.status, entry.worker, entry.attempt, entry.failures, entry.losses),
        *(entry.errors, entry.reason, entry.attempt == 0, entry.return_value and [1], entry.mark),
    )
