"""Deliberate mistakes, which CHAOS_MUTATION makes in all processes of a run: the checker has to find what follows."""

from collections.abc import Sequence
from typing import Any

from django_tasks_q.brokers import base, postgresql
from django_tasks_q.brokers.values import Outcome

__all__ = ["drop_fence"]


def drop_fence() -> None:
    """Let anybody record how a job ended, whoever owns it by now."""
    # Still names what it compares with, as a statement whose parameters have no type is refused.
    postgresql.FENCE = "j.id = o.id AND o.holder IS NOT NULL AND o.held IS NOT NULL"
    base.Broker._still_owned = _owned_by_anybody  # type: ignore[method-assign]


def _owned_by_anybody(self: base.Broker, worker_id: str, outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    rows = {self.to_key(outcome.id): self._outcome_row(outcome) for outcome in outcomes}
    with self.connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(rows))
        cursor.execute(f"SELECT id FROM django_tasks_q_job WHERE id IN ({marks}) {self.lock_rows}", [*rows])
        held = {str(key) for (key,) in cursor.fetchall()}
    return [row for key, row in rows.items() if str(key) in held]
