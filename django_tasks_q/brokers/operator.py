"""The broker's verbs for operators: rows change tables inside the database, however large they are."""

import uuid
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.utils import timezone

from ..lifecycle import JobStatus
from ..models.job import Call, Job
from ..models.log import JobLog
from ..models.result import Result
from .dialect import Dialect

__all__ = ["JOB", "LOG", "RESULT", "OperatorVerbs", "marks"]

JOB, RESULT, LOG = Job._meta.db_table, Result._meta.db_table, JobLog._meta.db_table
CALL_COLUMNS = tuple(field.attname for field in Call._meta.fields)


class OperatorVerbs(Dialect):
    """requeue, run_now, move, prune, and delete_results."""

    # What finds rows by their keys alone, where the database might prefer to look at all of them, and lock them all.
    by_key: ClassVar[str] = ""
    lock_rows: ClassVar[str] = "FOR UPDATE"

    def requeue(self, result_ids: Iterable[uuid.UUID | str]) -> set[str]:
        """Make finished jobs READY again under their old ids; return the ids of those that were.

        Their errors and the number of their attempts stay; failures and losses are counted from nought.
        """
        changes: dict[str, Any] = {"status": JobStatus.READY.value, "failures": 0, "losses": 0, "worker_id": None}
        # However long ago it was enqueued, it has been ready since now.
        changes |= {"reason": "", "progress": None, "due_at": self._to_moment(timezone.now())}
        with self.transaction():
            keys = list(self._lock(RESULT, result_ids))
            self._move(keys, RESULT, JOB, changes)
        return {self.from_key(key) for key in keys}

    def run_now(self, job_ids: Iterable[uuid.UUID | str]) -> set[str]:
        """Make SCHEDULED jobs READY before their time; return the ids of those that were."""
        now = self._to_moment(timezone.now())
        with self.transaction():
            keys = list(self._lock(JOB, job_ids, "AND status = 'SCHEDULED'"))
            self._update(keys, {"status": JobStatus.READY.value, "reason": "", "due_at": now})
        return {self.from_key(key) for key in keys}

    def move(self, job_ids: Iterable[uuid.UUID | str], changes: dict[str, Any]) -> set[str]:
        """Give jobs that do not run another queue_name, priority, or both; return the ids of those that were."""
        with self.transaction():
            keys = list(self._lock(JOB, job_ids, "AND status <> 'RUNNING'"))
            self._update(keys, {name: changes[name] for name in ("queue_name", "priority") if name in changes})
        return {self.from_key(key) for key in keys}

    def prune(self, statuses: Iterable[str], older_than: float, *, limit: int = 1_000) -> int:
        """Delete up to `limit` results that finished more than `older_than` seconds ago; return how many."""
        cutoff = timezone.now() - timedelta(seconds=older_than)
        history = Result.objects.using(self.using).filter(backend=self.alias, finished_at__lt=cutoff)
        deleted = 0
        with self.transaction():
            for status in statuses:
                old = history.filter(status=status).order_by("finished_at").values_list("id", flat=True)
                deleted += self._forget([self.to_key(key) for key in old[: limit - deleted]])
        return deleted

    def delete_results(self, result_ids: Iterable[uuid.UUID | str]) -> int:
        """Delete results at an operator's wish; return how many."""
        with self.transaction():
            return self._forget(list(self._lock(RESULT, result_ids)))

    def _lock(self, table: str, ids: Iterable[uuid.UUID | str], condition: str = "") -> dict[Any, str]:
        """Return the keys of this backend's rows among these ids, locked in their order, each with its status."""
        keys = sorted({self.to_key(item) for item in ids})
        if not keys:
            return {}
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"SELECT id, status FROM {table}{self.by_key} WHERE id IN ({marks(keys)}) AND backend = %s"
                f" {condition} ORDER BY id {self.lock_rows}",
                [*keys, self.alias],
            )
            return dict(cursor.fetchall())

    def _update(self, keys: Sequence[Any], changes: dict[str, Any]) -> None:
        if not keys:
            return
        values = ", ".join(f"{name} = %s" for name in changes)
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {JOB}{self.by_key} SET {values} WHERE id IN ({marks(keys)})", [*changes.values(), *keys]
            )

    def _move(self, keys: Sequence[Any], source: str, target: str, changes: dict[str, Any]) -> None:
        if not keys:
            return
        kept = [name for name in CALL_COLUMNS if name not in changes]
        with self.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {target} ({', '.join([*kept, *changes])}) SELECT {', '.join(kept)}, {marks(changes)}"
                f" FROM {source}{self.by_key} WHERE id IN ({marks(keys)})",
                [*changes.values(), *keys],
            )
        self._delete(keys, source)

    def _forget(self, keys: Sequence[Any]) -> int:
        """Delete results for good, with what their runs have logged; return how many results."""
        deleted = self._delete(keys, RESULT)
        self._delete_lines(keys)
        return deleted

    def _delete_lines(self, keys: Sequence[Any]) -> None:
        if not keys:
            return
        with self.connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {LOG} WHERE job_id IN ({marks(keys)})", keys)

    def _delete(self, keys: Sequence[Any], table: str) -> int:
        if not keys:
            return 0
        with self.connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {table} WHERE id IN ({marks(keys)})", keys)
            deleted: int = cursor.rowcount
        return deleted


def marks(values: Iterable[Any]) -> str:
    """Return a placeholder for each value."""
    return ", ".join("%s" for _ in values)
