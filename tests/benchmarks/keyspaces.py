"""Databases of the Redis server BENCH_REDIS_URL: each peer that keeps jobs there has some of its own."""

import os
from functools import cached_property
from importlib import import_module
from typing import Any

from psutil import pid_exists

from .errors import BenchmarkError

__all__ = ["SERVER", "Keyspace"]

SERVER = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379").rstrip("/")
MARK = "benchmarks of django_tasks_q"


class Keyspace:
    """One numbered database of the server, for one peer's jobs or results alone."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.url = f"{SERVER}/{number}"

    @cached_property
    def redis(self) -> Any:
        return import_module("redis").Redis.from_url(self.url)

    def take(self) -> None:
        """Make it this process's own; refuse to delete keys of someone else, or to disturb another run."""
        owner = self.redis.get(MARK)
        if owner is None and self.redis.dbsize():
            raise BenchmarkError(
                f"The Redis database {self.url} holds {self.redis.dbsize()} keys that the benchmarks have not made and"
                " would delete. Empty it (FLUSHDB), or name another server by BENCH_REDIS_URL."
            )
        if owner and int(owner) != os.getpid() and pid_exists(int(owner)):
            raise BenchmarkError(
                f"The Redis database {self.url} is in use by the benchmarks of process {int(owner)}. Wait for them, or"
                " name another server by BENCH_REDIS_URL."
            )
        self._mark()

    def empty(self) -> None:
        """Delete all keys."""
        self.redis.flushdb()
        self._mark()

    def delete(self, *keys: str) -> None:
        self.redis.delete(*keys)

    def count(self) -> int:
        """Return how many keys there are."""
        keys: int = self.redis.dbsize()
        return keys - 1

    def _mark(self) -> None:
        self.redis.set(MARK, os.getpid())
