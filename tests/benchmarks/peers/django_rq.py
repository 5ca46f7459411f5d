import sys
from typing import Any

from ..keyspaces import Keyspace
from .base import PROCESSES, Peer

__all__ = ["DjangoRq"]


class DjangoRq(Peer):
    """django-rq: two workers of RQ in a pool (README, "Running workers", rqworker-pool), of the default class.

    That one forks for each job. Results stay in Redis for 500 s, the default. --verbosity 0: the default writes lines
    for each job.
    """

    name = "django-rq"
    label = "django-rq, Redis"
    packages = ("django-rq", "rq", "redis")
    services = frozenset({"redis"})
    keeps = "Redis"
    has_bulk = True
    has_sleep = True
    apps = ("django_rq",)
    jobs = Keyspace(13)

    def settings(self) -> dict[str, Any]:
        return {"RQ_QUEUES": {"default": {"URL": self.jobs.url}}}

    def worker_commands(self) -> list[list[str]]:
        options = ["--num-workers", str(PROCESSES), "--verbosity", "0"]
        return [[sys.executable, "-m", "django", "rqworker-pool", "default", *options]]

    def prepare(self) -> None:
        self.jobs.take()

    def clear(self) -> None:
        self.jobs.empty()

    def enqueue(self, count: int) -> None:
        queue = self.tasks.get_queue()
        for _ in range(count):
            queue.enqueue(self.tasks.noop)

    def enqueue_bulk(self, count: int) -> None:
        queue = self.tasks.get_queue()
        queue.enqueue_many([queue.prepare_data(self.tasks.noop) for _ in range(count)])

    def enqueue_text(self, count: int, text: str) -> None:
        queue = self.tasks.get_queue()
        for _ in range(count):
            queue.enqueue(self.tasks.take, text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.get_queue().enqueue(self.tasks.sleep, seconds)

    def stored(self) -> int | None:
        stored: int = self.tasks.get_queue().finished_job_registry.count
        return stored
