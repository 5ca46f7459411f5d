"""Deliberate mistakes, which CHAOS_MUTATION makes in all processes of a run: the checker has to find what follows."""

from collections.abc import Sequence

from django_tasks_q.brokers import base
from django_tasks_q.brokers.postgresql import finish
from django_tasks_q.brokers.values import Outcome

__all__ = ["drop_fence"]


def drop_fence() -> None:
    """Let any worker record how a job ended, no matter which one owns it."""
    # Still names what it compares with, as a statement whose parameters have no type is refused.
    finish.FENCE = "j.id = o.id AND o.holder IS NOT NULL AND o.held IS NOT NULL"
    base.Broker._still_owned = _owned_by_anybody  # type: ignore[method-assign, assignment]


def _owned_by_anybody(
    self: base.Broker, worker_id: str, outcomes: Sequence[Outcome], *, skip_locked: bool
) -> list[Outcome]:
    rows = {self.dialect.to_key(outcome.id): outcome for outcome in outcomes}
    with self.connection.cursor() as cursor:
        marks = ", ".join(["%s"] * len(rows))
        cursor.execute(f"SELECT id FROM django_tasks_q_job WHERE id IN ({marks}) {self.dialect.lock_rows}", [*rows])
        held = {str(key) for (key,) in cursor.fetchall()}
    return [outcome for key, outcome in rows.items() if str(key) in held]
