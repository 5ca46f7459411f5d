import os

from django.apps import AppConfig

from .peers import PEERS

__all__ = ["BenchmarksConfig"]


class BenchmarksConfig(AppConfig):
    """Makes the tasks of the peer known, as the tasks.py of a project's apps would: for queues that look for those."""

    name = "tests.benchmarks"

    def ready(self) -> None:
        self.tasks = PEERS[os.environ["BENCH_PEER"]].tasks
