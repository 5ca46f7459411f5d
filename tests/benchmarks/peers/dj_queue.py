import sys
from typing import Any

from .. import tables
from .base import PROCESSES, Peer

__all__ = ["DjQueue"]


class DjQueue(Peer):
    """dj-queue, tuned as the section "Postgres Queue Health" of its README advises.

    Connections are kept; the autovacuum settings that dj_queue_postgres_autovacuum prints are applied; SKIP LOCKED and
    LISTEN/NOTIFY are on, as by default. Two worker processes with the default of 3 threads and the default prefetch of
    2 jobs for each thread, beside the dispatcher and the scheduler that a standalone supervisor starts.
    Left out: a database of the queue's own, which on the same server changes nothing, and preserve_finished_jobs =
    False, because results are what is measured.
    """

    name = "dj-queue"
    label = "dj-queue"
    packages = ("dj-queue",)
    keeps = "PostgreSQL"
    has_bulk = True
    has_sleep = True
    apps = ("dj_queue",)

    def settings(self) -> dict[str, Any]:
        workers = [{"queues": "*", "processes": PROCESSES}]
        return {
            "DATABASE_ROUTERS": ["dj_queue.routers.DjQueueRouter"],
            "TASKS": {
                "default": {
                    "BACKEND": "dj_queue.backend.DjQueueBackend",
                    "QUEUES": [],
                    "OPTIONS": {"workers": workers},
                },
            },
        }

    def worker_commands(self) -> list[list[str]]:
        return [[sys.executable, "-m", "django", "dj_queue"]]

    def prepare(self) -> None:
        self.tasks.tune_autovacuum()

    def clear(self) -> None:
        tables.empty("dj_queue.Job")

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop.enqueue()

    def enqueue_bulk(self, count: int) -> None:
        self.tasks.noop.get_backend().enqueue_all([(self.tasks.noop, [], {})] * count)

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take.enqueue(text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep.enqueue(seconds)

    def stored(self) -> int | None:
        return tables.count("dj_queue.Job", finished_at__isnull=False)
