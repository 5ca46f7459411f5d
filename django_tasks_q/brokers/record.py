"""How outcomes are written: into the history, or back into the queue."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import cache, cached_property
from operator import attrgetter
from typing import Any, ClassVar

from ..lifecycle import SUCCESSFUL, Ending, JobStatus
from .batches import in_batches, weight_of
from .operator import OperatorVerbs
from .sql import CALL_COLUMNS, JOB, MOST_KEYS, MOST_LOSSES, RESULT, counted, placeholders
from .values import Outcome, Recorded

__all__ = ["LONGEST_REASON", "RecordVerbs", "dump_rows"]

_id = attrgetter("id")
# Characters of the reason in a row.
LONGEST_REASON = 500
# Not escaped to ASCII: a character of four bytes would become twelve.
dump_rows = json.JSONEncoder(ensure_ascii=False).encode


class RecordVerbs(OperatorVerbs):
    """What finish() and cancel() write of a run."""

    def _record(self, worker_id: str, outcomes: Sequence[Outcome], *, skip_locked: bool) -> Recorded:
        """Record those with a valid fence that are not to be cancelled, or have succeeded."""
        owned = self._still_owned(worker_id, outcomes, skip_locked=skip_locked)
        final = [outcome for outcome in owned if outcome.is_final]
        again = [outcome for outcome in owned if not outcome.is_final]
        for batch in in_batches(final, weight_of):
            self._move_to_history(batch)
        for batch in in_batches(again, weight_of):
            self._hand_back(batch)
        return Recorded(frozenset(map(_id, final)), frozenset(map(_id, again)))

    def _move_to_history(self, outcomes: Sequence[Outcome]) -> None:
        """Move jobs that are locked."""
        rows = [self._outcome_row(outcome) for outcome in outcomes]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {RESULT} ({self._history_columns}) SELECT {self._history_values}"
                f" FROM {self.outcome_rows} JOIN {JOB} j ON j.id = {self.outcome_key}",
                [dump_rows(rows)],
            )
        self._delete([row["id"] for row in rows], JOB)

    def _hand_back(self, outcomes: Sequence[Outcome]) -> None:
        """Hand back jobs that are locked."""
        with self.connection.cursor() as cursor:
            cursor.execute(self._hand_back_sql, [dump_rows([self._outcome_row(outcome) for outcome in outcomes])])

    def _replace_arguments(self, outcomes: Iterable[Outcome]) -> None:
        """Give jobs that run again, and are locked, the arguments that their tasks want for that."""
        changed = [(*outcome.arguments, self.dialect.to_key(outcome.id)) for outcome in outcomes if outcome.arguments]
        if changed:
            payload = self.dialect.json_parameter
            with self.connection.cursor() as cursor:
                cursor.executemany(
                    f"UPDATE {JOB}{self.dialect.by_key} SET args = {payload}, kwargs = {payload} WHERE id = %s",
                    changed,
                )

    def _still_owned(self, worker_id: str, outcomes: Sequence[Outcome], *, skip_locked: bool) -> list[Outcome]:
        """Lock the jobs of these outcomes and return the outcomes with a valid fence.

        Without those that are to be cancelled, and have not succeeded.
        """
        keys = [self.dialect.to_key(outcome.id) for outcome in outcomes]
        held: dict[tuple[str, int], tuple[bool, bool]] = {}
        with self.connection.cursor() as cursor:
            for start in range(0, len(keys), MOST_KEYS):
                batch = keys[start : start + MOST_KEYS]
                cursor.execute(
                    f"SELECT id, attempt, cancel_requested_at, begun_at FROM {JOB}{self.dialect.by_key}"
                    f" WHERE id IN ({placeholders(batch)})"
                    f" AND worker_id = %s AND status = 'RUNNING' ORDER BY id {self.dialect.locking(skip=skip_locked)}",
                    [*batch, worker_id],
                )
                for key, attempt, asked_at, begun_at in cursor.fetchall():
                    held[self.dialect.from_key(key), attempt] = asked_at is not None, begun_at is not None
        return [outcome for outcome in outcomes if _holds(outcome, held.get((outcome.id, outcome.attempt)))]

    def _outcome_row(self, outcome: Outcome) -> dict[str, Any]:
        """Return the fields of an outcome that are set; the database reads the others as NULL."""
        row: dict[str, Any] = {
            "id": str(self.dialect.to_key(outcome.id)),
            "attempt": outcome.attempt,
            "status": outcome.status,
            "started_at": self.dialect.moment_text(outcome.started_at),
            "finished_at": self.dialect.moment_text(outcome.finished_at),
        }
        if outcome.return_value is not None:
            row["return_value"] = outcome.return_value
        if outcome.error is not None:
            row["error"] = outcome.error
        if outcome.status == JobStatus.SCHEDULED:
            row["due_at"] = self.dialect.moment_text(outcome.finished_at + timedelta(seconds=outcome.retry_in))
        if outcome.reason:
            row["reason"] = outcome.reason[:LONGEST_REASON]
        if outcome.is_refused:
            row["failed"] = 1
        return row | _flags(outcome.ending)

    # What vendors differ in.

    # Rows of outcomes, made from one JSON parameter, under the name o; and their key, to compare with a job's.
    outcome_rows: ClassVar[str]
    outcome_key: ClassVar[str] = "o.id"
    # The errors of job j, with that of outcome o appended, at most options.max_errors of them.
    appended_errors: str
    return_value: ClassVar[str] = "o.return_value"
    # The "group" of the error of outcome o: see tracebacks.error_group().
    error_group: ClassVar[str]

    @property
    def _hand_back_sql(self) -> str:
        raise NotImplementedError

    @cached_property
    def _kept_columns(self) -> list[str]:
        """The columns that move to the history unchanged."""
        return [name for name in CALL_COLUMNS if name not in self._history_expressions]

    @cached_property
    def _history_columns(self) -> str:
        return ", ".join([*self._kept_columns, *self._history_expressions])

    @cached_property
    def _history_values(self) -> str:
        return ", ".join([*(f"j.{name}" for name in self._kept_columns), *self._history_expressions.values()])

    @cached_property
    def _history_expressions(self) -> dict[str, str]:
        return {
            "failures": counted("j.failures", "COALESCE(o.failed, 0)"),
            "losses": counted("j.losses", "COALESCE(o.lost, 0)", most=MOST_LOSSES),
            "started_at": "CASE WHEN j.attempt <= 1 THEN o.started_at ELSE j.started_at END",
            "last_attempted_at": "o.started_at",
            "finished_at": "o.finished_at",
            "errors": self.appended_errors,
            "status": "o.status",
            "reason": "COALESCE(o.reason, '')",
            "return_value": self.return_value,
            "error_group": f"CASE WHEN o.status = 'FAILED' THEN {self.error_group} END",
        }

    @cached_property
    def _handed_back(self) -> dict[str, str]:
        """The new value of each column of a job; in this order, because MySQL sees the earlier assignments."""
        return {
            "errors": self.appended_errors,
            "started_at": "CASE WHEN o.uncharged = 1 AND j.attempt <= 1 THEN NULL ELSE j.started_at END",
            "last_attempted_at": "CASE WHEN o.uncharged = 1 AND j.attempt <= 1 THEN NULL ELSE j.last_attempted_at END",
            "attempt": "CASE WHEN j.attempt > 0 THEN j.attempt - COALESCE(o.uncharged, 0) ELSE 0 END",
            "failures": counted("j.failures", "COALESCE(o.failed, 0)"),
            "losses": counted("j.losses", "COALESCE(o.lost, 0)", most=MOST_LOSSES),
            "due_at": "CASE WHEN o.due_at IS NULL THEN j.due_at ELSE o.due_at END",
            "status": "o.status",
            "reason": "COALESCE(o.reason, '')",
            "worker_id": "NULL",
            "begun_at": "NULL",
            "displaced": "o.displaced",
        }


def _holds(outcome: Outcome, found: tuple[bool, bool] | None) -> bool:
    """Return whether an outcome can be recorded. found: whether its job is to be cancelled, and has begun."""
    if found is None:
        return False
    is_cancelled, has_begun = found
    return (not is_cancelled or outcome.status == SUCCESSFUL) and not (outcome.displaced and has_begun)


@cache
def _flags(ending: Ending) -> dict[str, int]:
    """Return what the row of an outcome says about its ending."""
    flags = {
        "failed": ending.is_failure,
        "lost": ending.is_loss,
        "uncharged": not ending.is_charged,
        "displaced": ending is Ending.DISPLACED,
    }
    return {name: 1 for name, is_set in flags.items() if is_set}
