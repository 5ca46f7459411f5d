import sys
from typing import Any, ClassVar

from ..keyspaces import Keyspace
from .base import PROCESSES, Peer

__all__ = ["Huey", "HueyResults"]


class HueyOnRedis(Peer):
    """huey on Redis through huey.contrib.djhuey: RedisHuey, which is the default, with a blocking pop.

    Two workers of the type process, which its Django guide calls "likely to be more performant" where the CPU is what
    counts, as it is for no-op tasks. --quiet: the default writes lines for each task. There is no bulk enqueue.
    """

    packages = ("huey", "redis")
    services = frozenset({"redis"})
    has_sleep = True
    apps = ("huey.contrib.djhuey", "tests.benchmarks")
    jobs: ClassVar[Keyspace]
    store_none: ClassVar[bool]

    def settings(self) -> dict[str, Any]:
        return {
            "HUEY": {
                "name": "benchmarks",
                "url": self.jobs.url,
                "store_none": self.store_none,
                "consumer": {"workers": PROCESSES, "worker_type": "process"},
            },
        }

    def worker_commands(self) -> list[list[str]]:
        return [[sys.executable, "-m", "django", "run_huey", "--quiet"]]

    def prepare(self) -> None:
        self.jobs.take()

    def clear(self) -> None:
        self.jobs.empty()

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.noop()

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.take(text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.sleep(seconds)


class Huey(HueyOnRedis):
    """As huey likes it best: a task that returns None leaves no result, which is the default."""

    name = "huey"
    label = "huey, Redis, no results"
    jobs = Keyspace(11)
    store_none = False


class HueyResults(HueyOnRedis):
    """Results in Redis, of tasks that return None too (store_none)."""

    name = "huey-results"
    label = "huey, Redis, results in Redis"
    keeps = "Redis"
    jobs = Keyspace(12)
    store_none = True

    def stored(self) -> int | None:
        stored: int = self.tasks.HUEY.result_count()
        return stored
