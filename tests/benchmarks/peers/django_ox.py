import sys
from typing import Any

from .. import tables
from .base import PROCESSES, Peer

__all__ = ["DjangoOx"]


class DjangoOx(Peer):
    """django-ox with its core backend; the app oxpull, for coordination, is not needed and left out.

    Connections are kept, as its production guide advises ("Retaining worker connections"), and as a worker does that
    starts without them. Two processes under its supervisor with 4 threads each, as in the systemd unit of that guide.
    An idle worker polls every second, the default. --verbosity 0: the default writes lines for each task.
    """

    name = "django-ox"
    label = "django-ox"
    packages = ("django-ox",)
    keeps = "PostgreSQL"
    has_bulk = True
    has_sleep = True
    apps = ("django_ox",)

    def settings(self) -> dict[str, Any]:
        return {"TASKS": {"default": {"BACKEND": "django_ox.backend.OxBackend", "QUEUES": []}}}

    def worker_commands(self) -> list[list[str]]:
        options = ["--processes", str(PROCESSES), "--concurrency", "4", "--verbosity", "0"]
        return [[sys.executable, "-m", "django", "ox_worker", *options]]

    def queue_arguments(self, queue: str) -> list[str]:
        return ["--queues", queue]

    def clear(self) -> None:
        tables.empty("django_ox.OxTask")

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop.enqueue()

    def enqueue_bulk(self, count: int) -> None:
        self.tasks.enqueue_many(self.tasks.noop, [((), {})] * count)

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take.enqueue(text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep.enqueue(seconds)

    def stored(self) -> int | None:
        return tables.count("django_ox.OxTask", status="SUCCESSFUL")
