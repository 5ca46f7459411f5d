import sys
from typing import Any

from .. import tables
from .base import PROCESSES, Peer

__all__ = ["Procrastinate"]


class Procrastinate(Peer):
    """procrastinate through its Django integration, as in its guide "Use Procrastinate in a Django application".

    Each worker is one process, so there are two, with 4 jobs at the same time in each, as its guide "Execute multiple
    jobs at the same time" explains: that gave a third more than the default of 1, and 10 gave no more. As by default
    LISTEN/NOTIFY is on; workers have a pool of connections of their own, and deferring uses Django's connection.
    Finished jobs stay in their table, which is all it keeps: it stores no return values.
    """

    name = "procrastinate"
    label = "procrastinate"
    packages = ("procrastinate",)
    keeps = "PostgreSQL"
    has_bulk = True
    has_sleep = True
    apps = ("procrastinate.contrib.django",)

    def settings(self) -> dict[str, Any]:
        return {"PROCRASTINATE_IMPORT_PATHS": ["tests.benchmarks.tasks.procrastinate"]}

    def worker_commands(self) -> list[list[str]]:
        worker = [sys.executable, "-m", "django", "procrastinate", "worker", "--concurrency", "4"]
        return [worker] * PROCESSES

    def queue_arguments(self, queue: str) -> list[str]:
        return ["--queues", queue]

    def clear(self) -> None:
        tables.empty("procrastinate.ProcrastinateJob")

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop.defer()

    def enqueue_bulk(self, count: int) -> None:
        self.tasks.noop.batch_defer(*[{}] * count)

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take.defer(text=text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep.defer(seconds=seconds)

    def stored(self) -> int | None:
        return tables.count("procrastinate.ProcrastinateJob", status="succeeded")
