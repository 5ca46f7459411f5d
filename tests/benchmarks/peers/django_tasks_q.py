import sys
from functools import cached_property
from importlib import import_module
from typing import Any

from .base import PROCESSES, Peer

__all__ = ["DjangoTasksQ"]


class DjangoTasksQ(Peer):
    """As in the quick start, with two children. -v 0: the default writes a line for each job, as no peer does here."""

    name = "django_tasks_q"
    label = "django_tasks_q"
    databases = frozenset({"postgresql", "mysql", "sqlite"})
    keeps = "the database"
    has_bulk = True
    fills = frozenset({"ready", "results", "other_queue", "scheduled"})
    has_sleep = True
    apps = ("django_tasks_q",)

    @cached_property
    def rows(self) -> Any:
        return import_module("tests.benchmarks.rows")

    def settings(self) -> dict[str, Any]:
        return {"TASKS": {"default": {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": []}}}

    def worker_commands(self) -> list[list[str]]:
        return [[sys.executable, "-m", "django", "taskworker", "--concurrency", str(PROCESSES), "-v", "0"]]

    def queue_arguments(self, queue: str) -> list[str]:
        return ["--queues", queue]

    def clear(self) -> None:
        self.rows.clear()

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop.enqueue()

    def enqueue_bulk(self, count: int) -> None:
        self.tasks.enqueue_many([(self.tasks.noop, (), {})] * count)

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take.enqueue(text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep.enqueue(seconds)

    def fill(self, what: str, count: int) -> None:
        self.rows.fill(what, count, self.tasks.noop.module_path)

    def stored(self) -> int | None:
        stored: int = self.rows.stored()
        return stored
