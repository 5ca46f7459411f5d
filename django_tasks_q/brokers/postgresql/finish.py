from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

from ...lifecycle import SUCCESSFUL
from ..batches import in_batches, weight_of
from ..record import RecordVerbs, dump_rows
from ..values import Outcome, Recorded

__all__ = ["FinishStatements"]

# These are few or none, whereas all others would have to be sent, and read.
REFUSED = "SELECT o.id::text FROM o WHERE NOT EXISTS (SELECT 1 FROM {0} WHERE {0}.id = o.id)"
FENCE = (
    "j.id = o.id AND j.worker_id = o.holder AND j.attempt = o.attempt AND j.status = o.held"
    f" AND (o.status = '{SUCCESSFUL}' OR j.cancel_requested_at IS NULL)"
    " AND (o.displaced IS NULL OR j.begun_at IS NULL)"
)


class FinishStatements(RecordVerbs):
    """One statement checks the fence and moves jobs to the history, and one hands them back."""

    outcome_rows: ClassVar[str] = (
        "json_to_recordset(%s::json) AS o(id uuid, attempt int, status text, started_at timestamptz,"
        " finished_at timestamptz, return_value text, error text, due_at timestamptz,"
        " failed int, lost int, uncharged int, reason text, displaced int)"
    )
    return_value: ClassVar[str] = "o.return_value::json"
    error_group: ClassVar[str] = "left(o.error::json ->> 'group', 255)"

    def _record(self, worker_id: str, outcomes: Sequence[Outcome], *, skip_locked: bool) -> Recorded:
        final = [outcome for outcome in outcomes if outcome.is_final]
        again = [outcome for outcome in outcomes if not outcome.is_final] if len(final) < len(outcomes) else []
        careful = int(skip_locked)
        return Recorded(
            self._write(self._finish_sql[careful], worker_id, final),
            self._write(self._hand_back_statements[careful], worker_id, again),
        )

    def _write(self, statement: str, worker_id: str, outcomes: Sequence[Outcome]) -> frozenset[str]:
        written: set[str] = set()
        for batch in in_batches(outcomes, weight_of):
            source = f"[{','.join([self._outcome_text(outcome) for outcome in batch])}]"
            with self.connection.cursor() as cursor:
                cursor.execute(statement, [worker_id, source])
                refused = {row[0] for row in cursor.fetchall()}
            written |= {outcome.id for outcome in batch if not refused or outcome.id not in refused}
        return frozenset(written)

    def _outcome_text(self, outcome: Outcome) -> str:
        if outcome.status != SUCCESSFUL or outcome.error or outcome.reason or outcome.return_value is None:
            return dump_rows(self._outcome_row(outcome))
        # Nearly all of them are like this, and need no detour.
        return (
            f'{{"id":"{outcome.id}","attempt":{outcome.attempt},"status":"{SUCCESSFUL}",'
            f'"started_at":"{outcome.started_at.isoformat()}","finished_at":"{outcome.finished_at.isoformat()}",'
            f'"return_value":{dump_rows(outcome.return_value)}}}'
        )

    @cached_property
    def _finish_sql(self) -> tuple[str, str]:
        return self._finish_statement(skip_locked=False), self._finish_statement(skip_locked=True)

    def _finish_statement(self, *, skip_locked: bool) -> str:
        more, source, condition = _fence(skip_locked=skip_locked)
        return (
            f"WITH {self._fenced_outcomes}{more}, moved({self._history_columns}) AS ("
            f"DELETE FROM django_tasks_q_job j USING {source} WHERE {condition} RETURNING {self._history_values})"
            f", written AS (INSERT INTO django_tasks_q_result ({self._history_columns}) SELECT * FROM moved)"
            f" {REFUSED.format('moved')}"
        )

    @cached_property
    def _hand_back_statements(self) -> tuple[str, str]:
        return self._hand_back_statement(skip_locked=False), self._hand_back_statement(skip_locked=True)

    def _hand_back_statement(self, *, skip_locked: bool) -> str:
        more, source, condition = _fence(skip_locked=skip_locked)
        changes = ", ".join(f"{name} = {value}" for name, value in self._handed_back.items())
        return (
            f"WITH {self._fenced_outcomes}{more}, changed AS ("
            f"UPDATE django_tasks_q_job j SET {changes} FROM {source} WHERE {condition} RETURNING j.id)"
            f" {REFUSED.format('changed')}"
        )

    @cached_property
    def _fenced_outcomes(self) -> str:
        # Each outcome carries the fence. If it were a condition on the table alone, the planner would expect a single
        # job to meet it, and compare every job with every outcome.
        return f"o AS MATERIALIZED (SELECT *, %s AS holder, 'RUNNING' AS held FROM {self.outcome_rows})"

    @cached_property
    def appended_errors(self) -> str:  # type: ignore[override]
        return (
            "CASE WHEN o.error IS NULL THEN j.errors ELSE"
            " (CASE WHEN jsonb_typeof(j.errors) <> 'array' THEN '[]'::jsonb"
            f" WHEN jsonb_array_length(j.errors) >= {self.options.max_errors} THEN j.errors - 0"
            " ELSE j.errors END) || jsonb_build_array(o.error::jsonb) END"
        )


def _fence(*, skip_locked: bool) -> tuple[str, str, str]:
    """Return the SQL that checks the fence before jobs are changed: more of the WITH, the FROM, and the condition."""
    if not skip_locked:
        return "", "o", FENCE
    more = (
        f", held AS MATERIALIZED (SELECT o.*, j.ctid AS place FROM o JOIN django_tasks_q_job j ON {FENCE}"
        " FOR UPDATE OF j SKIP LOCKED)"
    )
    return more, "held o", "j.ctid = o.place"
