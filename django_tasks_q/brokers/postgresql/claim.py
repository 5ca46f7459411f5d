from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, ClassVar

from ..batches import size_of
from ..claim import BARRED, Claim, ClaimVerbs, Position
from ..dialects.postgresql import LARGEST_RATIO, LAZILY, PostgreSQLDialect
from ..sql import counted
from ..values import ClaimedJob

__all__ = ["ClaimStatements"]

PASSED_ON = {"id", "args", "kwargs", "options", "metadata", "errors"}


class ClaimStatements(ClaimVerbs):
    """A claim is one statement, and one round trip with its transaction if the driver allows that."""

    dialect: PostgreSQLDialect
    claims_after: ClassVar[bool] = True

    def first_claim(self, demand: int) -> int:
        # A claim of few takes two thirds of the time.
        return min(demand, self.few(self.largest_claim))

    def claim_within(
        self, worker_id: str, queue_name: str, limit: int, size: int, *, after: Sequence[Position] = ()
    ) -> Claim:
        ranges = _index_ranges(after)
        parameters: list[Any] = []
        for _, values in ranges:
            parameters += [queue_name, *values, self.alias, queue_name, worker_id, limit]
        fits = limit <= self.few(size)
        statement = self._claim_sql([condition for condition, _ in ranges], fits=fits)
        with self.connection.cursor() as cursor:
            rows = self._rows_of_claim(cursor, statement, [*parameters, worker_id, *([] if fits else [size, size])])
        jobs = [self._claimed(row) for row in rows]
        jobs.sort(key=lambda job: (-job.priority, job.id))
        # A job that was estimated as too large has at least a hundredth of that.
        is_cut = not fits and len(jobs) < limit and sum(map(size_of, jobs)) * LARGEST_RATIO >= size
        return Claim(jobs, is_cut)

    def _rows_of_claim(self, cursor: Any, statement: str, parameters: Sequence[Any]) -> Any:
        """Run a claim as part of the caller's transaction, or in its own, in one round trip if possible."""
        if self.dialect.takes_several():
            try:
                cursor.execute(f"BEGIN; {LAZILY}; {statement}; COMMIT", parameters)
            except BaseException:
                self.dialect.leave_transaction()
                raise
            # Of the answers only this one has rows; to ask for their description would build it.
            while not cursor.statusmessage.startswith("UPDATE") and cursor.nextset():
                pass
        elif self.connection.in_atomic_block:
            cursor.execute(statement, parameters)
        else:
            with self.transaction(durable=False):
                cursor.execute(statement, parameters)
        return cursor.fetchall()

    def _claim_sql(self, conditions: Sequence[str], *, fits: bool) -> str:
        """Return the statement. fits: the jobs need not be measured, which is a third of the planning."""
        # The status is a literal, or a prepared plan could not use the partial index. By physical address, which the
        # locks keep stable: joined by key, the planner would read all of a table of less than 100,000 jobs.
        alias, now = self.dialect.literal(self.alias), self.dialect.now_sql
        columns = "place" if fits else "place, size"
        size = "" if fits else f", {self.dialect.size_sql} AS size"
        picks = []
        for number, condition in enumerate(conditions):
            taken = "".join(f" - (SELECT count(*) FROM picked_{earlier})" for earlier in range(number))
            picks.append(
                f"picked_{number} AS MATERIALIZED (SELECT ctid AS place{size}"
                f" FROM django_tasks_q_job WHERE backend = {alias} AND queue_name = %s AND status = 'READY'{condition}"
                f" AND NOT ({BARRED}) ORDER BY priority DESC, id LIMIT %s{taken} FOR UPDATE SKIP LOCKED)"
            )
        if len(picks) > 1:
            parts = " UNION ALL ".join(f"SELECT {columns} FROM picked_{number}" for number in range(len(picks)))
            picks.append(f"picked AS MATERIALIZED ({parts})")
        picked = picks[-1].split(maxsplit=1)[0]
        places = _all_places(picked) if fits else _places_that_fit(picked)
        return (
            f"WITH {', '.join(picks)}"
            f" UPDATE django_tasks_q_job j SET status = 'RUNNING', worker_id = %s, attempt = {counted('j.attempt')},"
            f" reason = '', last_attempted_at = {now}, started_at = COALESCE(j.started_at, {now})"
            f" WHERE j.ctid = ANY ({places}) RETURNING {self._claimed_columns}"
        )

    def _claimed_column(self, name: str) -> str:
        # As text, or the driver would parse payloads that are only passed on.
        return f"j.{name}::text" if name in PASSED_ON else super()._claimed_column(name)

    def _claimed(self, row: Sequence[Any]) -> ClaimedJob:
        return ClaimedJob(*row)


def _all_places(picked: str) -> str:
    return f"ARRAY(SELECT place FROM {picked})"


def _places_that_fit(picked: str) -> str:
    """Return SQL for the places of those that fit, in claim order: up to the first that is preceded by enough."""
    fitting = (
        "SELECT place FROM (SELECT place, sum(size) OVER (ROWS UNBOUNDED PRECEDING) - size AS before"
        f" FROM {picked}) p WHERE before < %s"
    )
    return f"CASE WHEN (SELECT sum(size) FROM {picked}) < %s THEN {_all_places(picked)} ELSE ARRAY({fitting}) END"


def _index_ranges(after: Sequence[Position]) -> list[tuple[str, list[Any]]]:
    """Return the conditions for the index ranges that contain the READY jobs, in claim order.

    Those between the positions are queried one by one, because only then is each one a range of the index.
    """
    if not after:
        return [("", [])]
    ranges: list[tuple[str, list[Any]]] = [(" AND priority > %s", [after[0][0]])]
    for (priority, job_id), (lower, _) in zip_longest(after, after[1:], fillvalue=(None, None)):
        ranges.append((" AND priority = %s AND id > %s", [priority, job_id]))
        below = (" AND priority < %s", [priority])
        ranges.append(below if lower is None else (f"{below[0]} AND priority > %s", [priority, lower]))
    return ranges
