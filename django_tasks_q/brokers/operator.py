"""The broker's verbs for operators: rows move between tables inside the database, however large they are."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from ..lifecycle import JobStatus
from .ended import EndedVerbs
from .sql import CALL_COLUMNS, JOB, LOG, RESULT, placeholders
from .values import Pruned

__all__ = ["OperatorVerbs"]


class OperatorVerbs(EndedVerbs):
    """requeue, run_now, move, prune, prune_next, and delete_results."""

    def requeue(self, result_ids: Iterable[uuid.UUID | str]) -> set[str]:
        """Make finished jobs READY again under their old ids; return the ids of those that were requeued.

        Their errors and the number of their attempts stay; failures and losses start again from zero.
        """
        changes: dict[str, Any] = {"status": JobStatus.READY.value, "failures": 0, "losses": 0, "worker_id": None}
        # However long ago it was enqueued, it is ready from now on.
        changes |= {"reason": "", "progress": None, "due_at": self.dialect.to_moment(timezone.now())}
        with self.transaction():
            found = list(self._lock(RESULT, result_ids))
            # If somebody has put a job with this id into the queue by hand, it has already been requeued.
            live = self._lock(JOB, found)
            keys = [key for key in found if key not in live]
            self._move(keys, RESULT, JOB, changes)
        return {self.dialect.from_key(key) for key in keys}

    def run_now(self, job_ids: Iterable[uuid.UUID | str]) -> set[str]:
        """Make SCHEDULED jobs READY early; return the ids of those that were made READY."""
        now = self.dialect.to_moment(timezone.now())
        with self.transaction():
            keys = list(self._lock(JOB, job_ids, "AND status = 'SCHEDULED'"))
            self._update(keys, {"status": JobStatus.READY.value, "reason": "", "due_at": now})
        return {self.dialect.from_key(key) for key in keys}

    def move(self, job_ids: Iterable[uuid.UUID | str], changes: dict[str, Any]) -> set[str]:
        """Give jobs that are not running another queue_name, priority, or both; return the ids of those moved."""
        with self.transaction():
            keys = list(self._lock(JOB, job_ids, "AND status <> 'RUNNING'"))
            self._update(keys, {name: changes[name] for name in ("queue_name", "priority") if name in changes})
        return {self.dialect.from_key(key) for key in keys}

    def prune(self, statuses: Iterable[str], older_than: float, *, limit: int = 1_000) -> int:
        """Delete up to `limit` results that finished more than `older_than` seconds ago; return how many."""
        deleted = 0
        for status in statuses:
            pruned = Pruned(0, True, None)
            while pruned.is_full and deleted < limit:
                pruned = self.prune_next(status, older_than, pruned.position, limit=limit - deleted)
                deleted += pruned.deleted
        return deleted

    def prune_next(
        self, status: str, older_than: float, after: datetime | None = None, *, limit: int = 1_000
    ) -> Pruned:
        """Read the next `limit` results that finished more than `older_than` seconds ago; delete this backend's.

        The index does not contain the backend: other backends' results are read too, but only once if the caller
        passes the position that the last call has returned as `after`.
        """
        cutoff = datetime.now(UTC) - timedelta(seconds=older_than)
        with self.transaction():
            rows = self._oldest(status, after, cutoff, limit)
            while len(rows) == limit and rows[-1][2] == after and self.alias not in {row[1] for row in rows}:
                # So many ended at the same time that the next look would find the same ones again.
                limit *= 2
                rows = self._oldest(status, after, cutoff, limit)
            deleted = self._forget([key for key, backend, _ in rows if backend == self.alias])
        return Pruned(deleted, len(rows) == limit, rows[-1][2] if rows else after)

    def _oldest(self, status: str, after: datetime | None, before: datetime, limit: int) -> list[tuple[Any, str, Any]]:
        begin, values = ("", []) if after is None else (" AND finished_at >= %s", [self.dialect.to_moment(after)])
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, backend, finished_at FROM {RESULT} WHERE status = %s{begin} AND finished_at < %s"
                " ORDER BY finished_at LIMIT %s",
                [str(status), *values, self.dialect.to_moment(before), limit],
            )
            return [(key, backend, self.dialect.from_moment(moment)) for key, backend, moment in cursor.fetchall()]

    def delete_results(self, result_ids: Iterable[uuid.UUID | str]) -> int:
        """Delete results on an operator's request; return how many."""
        with self.transaction():
            return self._forget(list(self._lock(RESULT, result_ids)))

    def _lock(self, table: str, ids: Iterable[uuid.UUID | str], condition: str = "") -> dict[Any, str]:
        """Return the keys of this backend's rows among these ids, locked in key order, each with its status."""
        keys = sorted({self.dialect.to_key(item) for item in ids})
        if not keys:
            return {}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, status FROM {table}{self.dialect.by_key}"
                f" WHERE id IN ({placeholders(keys)}) AND backend = %s"
                f" {condition} ORDER BY id {self.dialect.lock_rows}",
                [*keys, self.alias],
            )
            return dict(cursor.fetchall())

    def _update(self, keys: Sequence[Any], changes: dict[str, Any]) -> None:
        if not keys:
            return
        values = ", ".join(f"{name} = %s" for name in changes)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {JOB}{self.dialect.by_key} SET {values} WHERE id IN ({placeholders(keys)})",
                [*changes.values(), *keys],
            )

    def _move(self, keys: Sequence[Any], source: str, target: str, changes: dict[str, Any]) -> None:
        if not keys:
            return
        kept = [name for name in CALL_COLUMNS if name not in changes]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {target} ({', '.join([*kept, *changes])}) SELECT {', '.join(kept)},"
                f" {placeholders(changes)} FROM {source}{self.dialect.by_key} WHERE id IN ({placeholders(keys)})",
                [*changes.values(), *keys],
            )
        self._delete(keys, source)

    def _forget(self, keys: Sequence[Any]) -> int:
        """Delete results for good, with the log lines of their runs; return how many results."""
        deleted = self._delete(keys, RESULT)
        self._delete_lines(keys)
        return deleted

    def _delete_lines(self, keys: Sequence[Any]) -> None:
        if not keys:
            return
        with self.connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {LOG} WHERE job_id IN ({placeholders(keys)})", keys)

    def _delete(self, keys: Sequence[Any], table: str) -> int:
        if not keys:
            return 0
        with self.connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE id IN ({placeholders(keys)})", keys)
            deleted: int = cursor.rowcount
        return deleted
