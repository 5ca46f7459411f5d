"""Claim and finish: the jobs of the last batch move to the results, the next batch becomes ours, one commit.

What a result says of its job (when it ran, what it returned) is different for each and comes from the client, as with
any queue that keeps results. In `claim_and_move` the database makes it up: the same rows without that.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from .bench import Bench, Operation
from .tables import Tables

__all__ = ["claim_and_finish"]

# More than were ever seen, so that the jobs last.
MOST_JOBS_A_SECOND, MOST_COMMITS_A_SECOND = 60_000, 2_000
# What a finish knows of a job; every other column that both tables have moves as it is.
OUTCOME = {
    "status": "'SUCCESSFUL'",
    "last_attempted_at": "o.started_at",
    "finished_at": "o.finished_at",
    "return_value": "o.return_value",
}
MADE_UP = {"status": "'SUCCESSFUL'", "finished_at": "clock_timestamp()", "return_value": "'null'::json"}
# Of the ways to pass rows in, the cheapest for both sides: arrays cost the client more than they save the server.
OUTCOMES = (
    "json_to_recordset(%s::json) AS o(id uuid, started_at timestamptz, finished_at timestamptz, return_value json)"
)


def claim_and_finish(
    batch: int, *, claimers: int = 1, made_up: bool = False
) -> Callable[[Bench], Sequence[Operation]]:
    """Return the measurement with so many jobs a transaction, in one session or more side by side."""

    def prepare(bench: Bench) -> Sequence[Operation]:
        # A transaction waits for the disk, which does not write more often than so.
        rate = min(MOST_JOBS_A_SECOND, MOST_COMMITS_A_SECOND * batch)
        bench.tables.fill(int(rate * bench.seconds) + 2 * batch * claimers)
        return [_claimer(bench, f"floor-{number}", batch, made_up=made_up) for number in range(claimers)]

    return prepare


def _claimer(bench: Bench, worker: str, batch: int, *, made_up: bool) -> Operation:
    connection = bench.connect()
    claim = _claim_sql(bench.tables, batch)
    finish = _move_sql(bench.tables) if made_up else _finish_sql(bench.tables)
    held: list[str] = []

    def claim_and_finish() -> int:
        nonlocal held
        with connection.transaction():
            if held:
                connection.execute(finish, [worker, held if made_up else _outcomes(held)], prepare=True)
            rows = connection.execute(claim, [worker], prepare=True).fetchall()
        held = [row[0] for row in rows]
        return len(held)

    return claim_and_finish


def _claim_sql(tables: Tables, batch: int) -> str:
    # By ctid, in an array: joined by key, the planner reads the whole table as long as that has less than 100,000
    # rows. And as text, or the driver would make objects of what nobody looks at.
    columns = ", ".join(f"{name}::text" for name in tables.job)
    return (
        "UPDATE django_tasks_q_job SET status = 'RUNNING', worker_id = %s, attempt = attempt + 1,"
        " started_at = clock_timestamp(), last_attempted_at = clock_timestamp()"
        " WHERE ctid = ANY(ARRAY(SELECT ctid FROM django_tasks_q_job"
        " WHERE backend = 'default' AND queue_name = 'default' AND status = 'READY'"
        f" ORDER BY priority DESC, id LIMIT {batch} FOR UPDATE SKIP LOCKED)) RETURNING {columns}"
    )


def _outcomes(held: Sequence[str]) -> str:
    started_at, finished_at = (datetime.now(UTC).isoformat() for _ in range(2))
    return json.dumps(
        [{"id": key, "started_at": started_at, "finished_at": finished_at, "return_value": 1} for key in held]
    )


def _finish_sql(tables: Tables) -> str:
    """Join in an order that keeps the planner from reading the whole table."""
    kept = [name for name in tables.job if name in tables.result and name not in OUTCOME]
    return (
        f"WITH o AS MATERIALIZED (SELECT *, %s AS holder, 'RUNNING' AS held FROM {OUTCOMES}),"
        " moved AS (DELETE FROM django_tasks_q_job j USING o"
        " WHERE j.id = o.id AND j.worker_id = o.holder AND j.status = o.held"
        f" RETURNING {', '.join([*(f'j.{name}' for name in kept), *OUTCOME.values()])})"
        f" INSERT INTO django_tasks_q_result ({', '.join([*kept, *OUTCOME])}) SELECT * FROM moved"
    )


def _move_sql(tables: Tables) -> str:
    kept = [name for name in tables.job if name in tables.result and name not in MADE_UP]
    return (
        "WITH moved AS (DELETE FROM django_tasks_q_job"
        " WHERE worker_id = %s AND status = 'RUNNING' AND id = ANY(%s::uuid[])"
        f" RETURNING {', '.join([*kept, *MADE_UP.values()])})"
        f" INSERT INTO django_tasks_q_result ({', '.join([*kept, *MADE_UP])}) SELECT * FROM moved"
    )
