import json
import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from itertools import zip_longest
from typing import Any, ClassVar

from django.db import DatabaseError

from ..lifecycle import SUCCESSFUL
from .base import ENQUEUED, LONGEST_LOCK_WAIT, Broker, Position
from .counters import counted
from .meanwhile import meanwhile
from .silence import end_silence
from .values import ClaimedJob, JobSpec, Outcome, Snapshot

__all__ = ["PostgreSQLBroker"]

logger = logging.getLogger("django_tasks_q")
COPY = (
    f"COPY django_tasks_q_job ({', '.join(ENQUEUED)}, backend, attempt, failures, losses, errors, reason) FROM STDIN"
)
# The commit of this transaction does not wait for the disk.
LAZILY = "SET LOCAL synchronous_commit TO off"
_JSON = json.JSONEncoder()
PASSED_ON = {"id", "args", "kwargs", "options", "metadata", "errors"}
# Those are few or none, where all others would have to be sent, and read.
REFUSED = "SELECT o.id::text FROM o WHERE NOT EXISTS (SELECT 1 FROM {0} WHERE {0}.id = o.id)"
FENCE = (
    "j.id = o.id AND j.worker_id = o.holder AND j.attempt = o.attempt AND j.status = o.held"
    f" AND (o.status = '{SUCCESSFUL}' OR j.cancel_requested_at IS NULL)"
)


# Not autovacuum's own, which holds nothing back. Of others' sessions only those that this user may see.
_OLDEST_SNAPSHOT = """
SELECT pid, usename::text, extract(epoch FROM clock_timestamp() - xact_start)::float FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND xact_start IS NOT NULL AND datname = current_database()
AND backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 1
"""


class PostgreSQLBroker(Broker):
    """One statement for each of insert-many, claim, finish and hand-back."""

    needs: ClassVar[str] = "PostgreSQL 14 or later"
    claims_after: ClassVar[bool] = True
    now_sql = "clock_timestamp()"
    now_once = "(SELECT clock_timestamp())"
    outcome_rows: ClassVar[str] = (
        "json_to_recordset(%s::json) AS o(id uuid, attempt int, status text, started_at timestamptz,"
        " finished_at timestamptz, return_value text, error text, due_at timestamptz,"
        " failed int, lost int, uncharged int, reason text)"
    )
    return_value: ClassVar[str] = "o.return_value::json"
    error_group: ClassVar[str] = "left(o.error::json ->> 'group', 255)"
    json_parameter: ClassVar[str] = "%s::json"

    @contextmanager
    def transaction(self, *, durable: bool = True, savepoint: bool = True) -> Iterator[None]:
        with super().transaction(savepoint=savepoint):
            if not durable and not self.connection.savepoint_ids:
                with self.connection.cursor() as cursor:
                    cursor.execute(LAZILY)
            yield

    def meanwhile(self, work: Callable[[], object]) -> AbstractContextManager[Any]:
        if not self.has_meanwhile:
            return super().meanwhile(work)
        self.connection.ensure_connection()
        return meanwhile(self.connection.connection, work)

    @property
    def has_meanwhile(self) -> bool:
        return self._has_psycopg_3

    def prepare_session(self) -> None:
        # The server counts milliseconds in 31 bits.
        seconds = min(max(1, round(self.options.rescue_after)), 2_000_000)
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %s, false),"
                " set_config('lock_timeout', %s, false)",
                [f"{seconds}s", f"{LONGEST_LOCK_WAIT}s"],
            )
        end_silence(self.connection.connection.fileno(), seconds)

    def oldest_snapshot(self) -> Snapshot | None:
        with self.connection.cursor() as cursor:
            cursor.execute(_OLDEST_SNAPSHOT)
            row = cursor.fetchone()
        return None if row is None else Snapshot(*row)

    def enqueue_and_run(self, spec: JobSpec, statement: tuple[str, Sequence[Any]] | None) -> bool:
        if statement is None or not self._takes_several():
            return False
        sql, parameters = statement
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(f"BEGIN; {self._insert_sql}; COMMIT; {sql}", [*self._spec_values(spec), *parameters])
            except BaseException as error:
                in_transaction = self._leave_transaction()
                if in_transaction or not isinstance(error, DatabaseError) or not self._is_stored(spec):
                    raise
                logger.exception("Job %s is stored, but the statement after it failed.", spec.id)
        return True

    def _takes_several(self) -> bool:
        """Say whether several statements, with their transaction, can be sent as one."""
        connection = self.connection
        return (
            not connection.in_atomic_block
            and connection.get_autocommit()
            and self._has_psycopg_3
            and not connection.features.uses_server_side_binding
        )

    @cached_property
    def _has_psycopg_3(self) -> bool:
        return bool(self.connection.Database.__name__ == "psycopg")

    def _leave_transaction(self) -> bool:
        """Say whether the server is still in a transaction, and end it; True where it does not tell any more."""
        raw = self.connection.connection
        if raw is None or raw.closed:
            return True
        in_transaction = bool(raw.info.transaction_status)
        with self.connection.wrap_database_errors:
            raw.rollback()
        return in_transaction

    def _is_stored(self, spec: JobSpec) -> bool:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM django_tasks_q_job WHERE id = %s UNION ALL"
                " SELECT 1 FROM django_tasks_q_result WHERE id = %s",
                [spec.id, spec.id],
            )
            return cursor.fetchone() is not None

    def _insert_many(self, cursor: Any, rows: Sequence[tuple[Any, ...]]) -> None:
        if not hasattr(cursor, "copy"):
            # psycopg2
            super()._insert_many(cursor, rows)
            return

        def execute(statement: str, *context: Any) -> None:
            with self.connection.wrap_database_errors, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row + rest)

        rest = (self.alias, 0, 0, 0, "[]", "")
        # As Django's cursor does with any statement: whoever counts or refuses them sees this one too.
        cursor._execute_with_wrappers(COPY, None, many=False, executor=execute)

    def claim(
        self, worker_id: str, queue_name: str, limit: int, *, after: Sequence[Position] = ()
    ) -> list[ClaimedJob]:
        ranges = _ranges(after)
        parameters: list[Any] = []
        for _, values in ranges:
            parameters += [queue_name, *values, queue_name, limit]
        statement = self._claim_sql([condition for condition, _ in ranges])
        with self.connection.cursor() as cursor:
            jobs = [self._claimed(row) for row in self._rows_of_claim(cursor, statement, [*parameters, worker_id])]
        jobs.sort(key=lambda job: (-job.priority, job.id))
        return jobs

    def _rows_of_claim(self, cursor: Any, statement: str, parameters: Sequence[Any]) -> Any:
        """Run a claim as part of the caller's transaction, or as one of its own, in one round trip where possible."""
        if self._takes_several():
            try:
                cursor.execute(f"BEGIN; {LAZILY}; {statement}; COMMIT", parameters)
            except BaseException:
                self._leave_transaction()
                raise
            cursor.nextset()
            cursor.nextset()
        elif self.connection.in_atomic_block:
            cursor.execute(statement, parameters)
        else:
            with self.transaction(durable=False):
                cursor.execute(statement, parameters)
        return cursor.fetchall()

    def _claim_sql(self, conditions: Sequence[str]) -> str:
        # The status is a literal, or a prepared plan could not use the partial index. By physical address, which the
        # locks keep in place: joined by key, the planner would read all of a table of less than 100,000 jobs.
        alias = self._literal(self.alias)
        paused = f"SELECT 1 FROM django_tasks_q_queue WHERE backend = {alias} AND name = %s AND paused"
        picks = []
        for number, condition in enumerate(conditions):
            taken = "".join(f" - (SELECT count(*) FROM picked_{earlier})" for earlier in range(number))
            picks.append(
                f"picked_{number} AS MATERIALIZED (SELECT ctid AS place FROM django_tasks_q_job"
                f" WHERE backend = {alias} AND queue_name = %s AND status = 'READY'{condition}"
                f" AND NOT EXISTS ({paused}) ORDER BY priority DESC, id LIMIT %s{taken} FOR UPDATE SKIP LOCKED)"
            )
        places = " UNION ALL ".join(f"SELECT place FROM picked_{number}" for number in range(len(picks)))
        return (
            f"WITH {', '.join(picks)}"
            f" UPDATE django_tasks_q_job j SET status = 'RUNNING', worker_id = %s, attempt = {counted('j.attempt')},"
            f" reason = '', last_attempted_at = {self.now_sql}, started_at = COALESCE(j.started_at, {self.now_sql})"
            f" WHERE j.ctid = ANY (ARRAY({places})) RETURNING {self._claimed_columns}"
        )

    def _claimed_column(self, name: str) -> str:
        # As text, or the driver would parse what is only passed on.
        return f"j.{name}::text" if name in PASSED_ON else super()._claimed_column(name)

    def _claimed(self, row: Sequence[Any]) -> ClaimedJob:
        return ClaimedJob(*row)

    def _move_to_history(self, worker_id: str, outcomes: Sequence[Outcome]) -> list[str]:
        return self._record(self._finish_sql, worker_id, outcomes)

    def _hand_back(self, worker_id: str, outcomes: Sequence[Outcome]) -> list[str]:
        return self._record(self._hand_back_sql, worker_id, outcomes)

    def _record(self, statement: str, worker_id: str, outcomes: Sequence[Outcome]) -> list[str]:
        source = f"[{','.join([self._outcome_text(outcome) for outcome in outcomes])}]"
        with self.connection.cursor() as cursor:
            cursor.execute(statement, [worker_id, source])
            refused = {row[0] for row in cursor.fetchall()}
        return [outcome.id for outcome in outcomes if not refused or outcome.id not in refused]

    def _outcome_text(self, outcome: Outcome) -> str:
        if outcome.status != SUCCESSFUL or outcome.error or outcome.reason or outcome.return_value is None:
            return _JSON.encode(self._outcome_row(outcome))
        # What nearly all of them are, without the detour.
        return (
            f'{{"id":"{outcome.id}","attempt":{outcome.attempt},"status":"{SUCCESSFUL}",'
            f'"started_at":"{outcome.started_at.isoformat()}","finished_at":"{outcome.finished_at.isoformat()}",'
            f'"return_value":{_JSON.encode(outcome.return_value)}}}'
        )

    @cached_property
    def _finish_sql(self) -> str:
        return (
            f"WITH {self._fenced_outcomes}, moved({self._history_columns}) AS ("
            f"DELETE FROM django_tasks_q_job j USING o WHERE {FENCE} RETURNING {self._history_values})"
            f", written AS (INSERT INTO django_tasks_q_result ({self._history_columns}) SELECT * FROM moved)"
            f" {REFUSED.format('moved')}"
        )

    @cached_property
    def _hand_back_sql(self) -> str:
        changes = ", ".join(f"{name} = {value}" for name, value in self._handed_back.items())
        return (
            f"WITH {self._fenced_outcomes}, changed AS ("
            f"UPDATE django_tasks_q_job j SET {changes} FROM o WHERE {FENCE} RETURNING j.id)"
            f" {REFUSED.format('changed')}"
        )

    @cached_property
    def _fenced_outcomes(self) -> str:
        # The fence stands beside each outcome. As a condition on the table alone it would look as if a single job met
        # it, and the planner would compare every job with every outcome.
        return f"o AS MATERIALIZED (SELECT *, %s AS holder, 'RUNNING' AS held FROM {self.outcome_rows})"

    @cached_property
    def appended_errors(self) -> str:  # type: ignore[override]
        return (
            "CASE WHEN o.error IS NULL THEN j.errors ELSE"
            " (CASE WHEN jsonb_typeof(j.errors) <> 'array' THEN '[]'::jsonb"
            f" WHEN jsonb_array_length(j.errors) >= {self.options.max_errors} THEN j.errors - 0"
            " ELSE j.errors END) || jsonb_build_array(o.error::jsonb) END"
        )

    def _moment_text(self, moment: datetime) -> str:
        # The column knows the time zone, whatever USE_TZ says.
        return moment.isoformat()

    def to_key(self, job_id: uuid.UUID | str) -> Any:
        return job_id if isinstance(job_id, uuid.UUID) else uuid.UUID(job_id)


def _ranges(after: Sequence[Position]) -> list[tuple[str, list[Any]]]:
    """Return the conditions of the index ranges in which what is ready stands, in the order of the claim.

    Those between the positions are asked for one by one, because only so each is a range of the index.
    """
    if not after:
        return [("", [])]
    ranges: list[tuple[str, list[Any]]] = [(" AND priority > %s", [after[0][0]])]
    for (priority, job_id), (lower, _) in zip_longest(after, after[1:], fillvalue=(None, None)):
        ranges.append((" AND priority = %s AND id > %s", [priority, job_id]))
        below = (" AND priority < %s", [priority])
        ranges.append(below if lower is None else (f"{below[0]} AND priority > %s", [priority, lower]))
    return ranges
