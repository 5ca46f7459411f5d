from functools import cached_property
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

__all__ = ["PROCESSES", "Peer"]

# Worker processes of every peer.
PROCESSES = 2
TASKS = "tests.benchmarks.tasks"


class Peer:
    """One queue, set up as its documentation advises for production, two worker processes.

    peers/x.py holds the adapter and imports no rival; tasks/x.py holds its tasks and is imported, as `self.tasks`, in
    that peer's own processes only. An adapter is found by being in a file of this package and having a name.
    """

    # As on the command line: "celery-redis"; and as in a table: "Celery, Redis".
    name: ClassVar[str]
    label: ClassVar[str]
    # Distributions that must be installed, besides Django and the database's driver.
    packages: ClassVar[tuple[str, ...]] = ()
    # Whose CPU counts, besides the database's: of {"redis", "rabbitmq"}.
    services: ClassVar[frozenset[str]] = frozenset()
    # On which databases it can be measured: of {"postgresql", "mysql", "sqlite"}.
    databases: ClassVar[frozenset[str]] = frozenset({"postgresql"})
    # Where results go: "PostgreSQL", "Redis", "nowhere".
    keeps: ClassVar[str] = "nowhere"
    # Whether it can enqueue many at once.
    has_bulk: ClassVar[bool] = False
    # With what fill() can fill its tables: of {"ready", "results", "other_queue", "scheduled"}.
    fills: ClassVar[frozenset[str]] = frozenset()
    # Whether it has enqueue_sleep().
    has_sleep: ClassVar[bool] = False
    # For INSTALLED_APPS.
    apps: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def missing(cls) -> list[str]:
        """Return the distributions that would have to be installed."""
        return [name for name in cls.packages if not _version(name)]

    @classmethod
    def is_installed(cls) -> bool:
        return not cls.missing()

    @classmethod
    def versions(cls) -> dict[str, str]:
        return {name: _version(name) for name in cls.packages}

    @cached_property
    def tasks(self) -> Any:
        """The module tasks/x.py of an adapter in peers/x.py; it has noop() and take()."""
        return import_module(f"{TASKS}.{type(self).__module__.rpartition('.')[2]}")

    # In any process, without Django.

    def settings(self) -> dict[str, Any]:
        """Return further Django settings; called while tests.benchmarks.settings is imported."""
        return {}

    def environment(self) -> dict[str, str]:
        """Return what workers and drivers get in their environment, besides the harness's own variables."""
        return {}

    def worker_commands(self) -> list[list[str]]:
        """Return one argv for each process to start, in the top of the checkout: together PROCESSES run tasks."""
        raise NotImplementedError

    def queue_arguments(self, queue: str) -> list[str]:
        """Return what makes a worker command run one queue only."""
        raise NotImplementedError

    # In the driver's process, with Django set up.

    def prepare(self) -> None:
        """Make what migrate does not: exchanges, streams, groups. Called once, after it."""

    def clear(self) -> None:
        """Leave no job and no result."""
        raise NotImplementedError

    def enqueue(self, count: int) -> None:
        """Enqueue noop() one by one, each in a transaction of its own (autocommit)."""
        raise NotImplementedError

    def enqueue_bulk(self, count: int) -> None:
        """Enqueue noop() many at once, as the peer documents it."""
        raise NotImplementedError

    def enqueue_one(self) -> None:
        """Enqueue noop() once: for latencies."""
        self.enqueue(1)

    def enqueue_text(self, count: int, text: str) -> None:
        """Enqueue take(text) one by one: it marks like noop(), and does nothing with its argument."""
        raise NotImplementedError

    def enqueue_sleep(self, seconds: float) -> None:
        """Enqueue sleep(seconds) once; it marks nothing."""
        raise NotImplementedError

    def fill(self, what: str, count: int) -> None:
        """Put rows into the tables by SQL, as fast as it goes, beside which noop() is measured.

        ready: jobs of noop() that are due; results: finished jobs; other_queue: jobs of the queue "other"; scheduled:
        jobs for next month.
        """
        raise NotImplementedError

    def stored(self) -> int | None:
        """Return how many results are stored, None if none ever are."""
        return None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
