import sys
from typing import Any

from ..keyspaces import Keyspace
from .base import PROCESSES, Peer

__all__ = ["Dramatiq"]

THREADS = 8


class Dramatiq(Peer):
    """dramatiq on Redis through django_dramatiq, with 8 threads in each of two processes.

    Those are the defaults of rundramatiq and of dramatiq itself on a machine with two processors; 4 threads gave half
    the rate.

    The middleware is that of django_dramatiq's README without Prometheus, which opens a server, and AdminMiddleware,
    which would write to the database three times for each task. Results are stored nowhere, as by default.
    There is no bulk enqueue.
    """

    name = "dramatiq"
    label = "dramatiq, Redis"
    packages = ("dramatiq", "django_dramatiq", "redis")
    services = frozenset({"redis"})
    has_sleep = True
    apps = ("django_dramatiq", "tests.benchmarks")
    jobs = Keyspace(10)

    def settings(self) -> dict[str, Any]:
        middleware = ["AgeLimit", "TimeLimit", "Callbacks", "Retries"]
        return {
            "DRAMATIQ_BROKER": {
                "BROKER": "dramatiq.brokers.redis.RedisBroker",
                "OPTIONS": {"url": self.jobs.url},
                "MIDDLEWARE": [
                    *[f"dramatiq.middleware.{name}" for name in middleware],
                    "django_dramatiq.middleware.DbConnectionsMiddleware",
                ],
            },
            "DRAMATIQ_AUTODISCOVER_MODULES": ["tasks.dramatiq"],
        }

    def worker_commands(self) -> list[list[str]]:
        options = ["--processes", str(PROCESSES), "--threads", str(THREADS)]
        return [[sys.executable, "-m", "django", "rundramatiq", *options]]

    def queue_arguments(self, queue: str) -> list[str]:
        return ["--queues", queue]

    def prepare(self) -> None:
        self.jobs.take()

    def clear(self) -> None:
        self.jobs.empty()

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop.send()

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take.send(text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep.send(seconds)
