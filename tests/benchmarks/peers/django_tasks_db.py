import sys
from typing import Any

from .. import tables
from .base import PROCESSES, Peer

__all__ = ["DjangoTasksDb"]


class DjangoTasksDb(Peer):
    """django-tasks-db as its README has it; each worker is one process that runs one task at a time, so there are two.

    Connections are kept: the worker honours CONN_MAX_AGE. Without the random delay of up to 1 s at the start, so that
    both work from the beginning, and without a log line for each task. Ids are UUIDs of version 4, the default.
    There is no bulk enqueue.
    """

    name = "django-tasks-db"
    label = "django-tasks-db"
    packages = ("django-tasks-db",)
    databases = frozenset({"postgresql", "mysql", "sqlite"})
    keeps = "the database"
    has_sleep = True
    apps = ("django_tasks_db",)

    def settings(self) -> dict[str, Any]:
        return {"TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}}}

    def worker_commands(self) -> list[list[str]]:
        worker = [sys.executable, "-m", "django", "db_worker", "--no-startup-delay", "--verbosity", "0"]
        return [worker] * PROCESSES

    def queue_arguments(self, queue: str) -> list[str]:
        return ["--queue-name", queue]

    def clear(self) -> None:
        tables.empty("django_tasks_database.DBTaskResult")

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop.enqueue()

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take.enqueue(text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep.enqueue(seconds)

    def stored(self) -> int | None:
        return tables.count("django_tasks_database.DBTaskResult", status="SUCCESSFUL")
