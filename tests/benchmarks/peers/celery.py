import os
import sys
from importlib import import_module
from typing import Any, ClassVar

from .. import tables
from ..keyspaces import Keyspace
from .base import PROCESSES, Peer

__all__ = ["CeleryDjangoResults", "CeleryRabbitMQ", "CeleryRedis", "CeleryRedisResults"]

RABBITMQ = os.environ.get("BENCH_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//")
QUEUE = "benchmarks"


class Celery(Peer):
    """Celery with its prefork pool, which its documentation takes for granted.

    The prefetch multiplier is the default, 4: for many short tasks the documentation advises to experiment with 64 or
    128 (user guide, Optimizing, Prefetch Limits), but 64 was no faster here on Redis, nor on RabbitMQ.
    Results are ignored where no backend keeps them: "if you don't care about the results … disable them" (user guide,
    Tasks, Tips and Best Practices). Left as they are: early acknowledgement, persistent messages, the pool of broker
    connections (on by default, so that one producer is used again and again), the log level (WARNING).

    There is no bulk enqueue: a group sends its tasks one by one.
    """

    has_sleep = True
    broker: ClassVar[str]

    def settings(self) -> dict[str, Any]:
        return {
            "CELERY_BROKER_URL": self.broker,
            "CELERY_TASK_DEFAULT_QUEUE": QUEUE,
            "CELERY_TASK_IGNORE_RESULT": self.keeps == "nowhere",
            "CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP": True,
        }

    def worker_commands(self) -> list[list[str]]:
        app = "tests.benchmarks.tasks.celery"
        return [[sys.executable, "-m", "celery", "-A", app, "worker", "--concurrency", str(PROCESSES)]]

    def queue_arguments(self, queue: str) -> list[str]:
        return ["--queues", queue]

    def clear(self) -> None:
        self.tasks.app.control.purge()

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop.delay()

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take.delay(text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep.delay(seconds)


class CeleryOnRedis(Celery):
    """The broker is Redis. Its bindings are left in place by clear(): a producer declares them but once."""

    packages: ClassVar[tuple[str, ...]] = ("celery", "redis")
    services = frozenset({"redis"})
    jobs: ClassVar[Keyspace]

    def prepare(self) -> None:
        self.jobs.take()

    def clear(self) -> None:
        super().clear()
        # What a killed worker had taken and not acknowledged.
        self.jobs.delete("unacked", "unacked_index")


class CeleryRedis(CeleryOnRedis):
    """As Celery likes it best: nothing is kept."""

    name = "celery-redis"
    label = "Celery, Redis, results ignored"
    jobs = Keyspace(6)
    broker = jobs.url


class CeleryRedisResults(CeleryOnRedis):
    """Results in Redis, for a day, as is the default."""

    name = "celery-redis-results"
    label = "Celery, Redis, results in Redis"
    keeps = "Redis"
    jobs = Keyspace(7)
    broker = jobs.url
    results = Keyspace(8)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "CELERY_RESULT_BACKEND": self.results.url}

    def prepare(self) -> None:
        super().prepare()
        self.results.take()

    def clear(self) -> None:
        super().clear()
        self.results.empty()

    def stored(self) -> int | None:
        return self.results.count()


class CeleryRabbitMQ(Celery):
    """The broker is RabbitMQ, Celery's default and the most complete one (user guide, Backends and Brokers).

    The queue is named after the database of this run, and vanishes when it has not been used for an hour.
    """

    name = "celery-rabbitmq"
    label = "Celery, RabbitMQ, results ignored"
    packages = ("celery", "kombu", "amqp")
    services = frozenset({"rabbitmq"})
    broker = RABBITMQ

    def settings(self) -> dict[str, Any]:
        name = os.environ["BENCH_DATABASE_URL"].rpartition("/")[2]
        queue = import_module("kombu").Queue(name, expires=3600)
        return {
            **super().settings(),
            "CELERY_TASK_DEFAULT_QUEUE": name,
            "CELERY_TASK_DEFAULT_EXCHANGE": QUEUE,
            "CELERY_TASK_QUEUES": [queue],
        }


class CeleryDjangoResults(CeleryOnRedis):
    """Results in the project's own database, by django-celery-results, set up as its documentation says.

    Celery closes Django's connections before and after each task, whatever CONN_MAX_AGE is. CELERY_DB_REUSE_MAX, which
    only its source knows (celery/fixups/django.py), makes it keep them for so many tasks: about three times the rate.
    """

    name = "celery-django-results"
    label = "Celery, Redis, results in PostgreSQL"
    packages = ("celery", "redis", "django-celery-results")
    keeps = "PostgreSQL"
    apps = ("django_celery_results",)
    jobs = Keyspace(9)
    broker = jobs.url

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "CELERY_RESULT_BACKEND": "django-db", "CELERY_DB_REUSE_MAX": 1_000_000}

    def clear(self) -> None:
        super().clear()
        tables.empty("django_celery_results.TaskResult")

    def stored(self) -> int | None:
        return tables.count("django_celery_results.TaskResult")
