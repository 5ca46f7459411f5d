import sys
from typing import Any

from .. import tables
from .base import PROCESSES, Peer

__all__ = ["DjangoQ2"]


class DjangoQ2(Peer):
    """django-q2 with the ORM broker, configured as in the example for it (documentation, Configuration, "orm").

    So timeout 90, retry 120, queue_limit 50 and bulk 10, which "can improve performance" (the same page, "bulk"); two
    workers. save_limit is 0, because the default keeps 250 results only. The log level is WARNING: the default writes
    two lines for each task. Connections are kept: broker and workers honour CONN_MAX_AGE.
    There is no bulk enqueue.
    """

    name = "django-q2"
    label = "django-q2"
    packages = ("django-q2",)
    keeps = "PostgreSQL"
    has_sleep = True
    apps = ("django_q",)

    def settings(self) -> dict[str, Any]:
        return {
            "Q_CLUSTER": {
                "name": "benchmarks",
                "workers": PROCESSES,
                "timeout": 90,
                "retry": 120,
                "queue_limit": 50,
                "bulk": 10,
                "orm": "default",
                "save_limit": 0,
                "log_level": "WARNING",
            },
        }

    def worker_commands(self) -> list[list[str]]:
        return [[sys.executable, "-m", "django", "qcluster"]]

    def clear(self) -> None:
        tables.empty("django_q.OrmQ", "django_q.Task")

    def enqueue(self, count: int) -> None:
        for _ in range(count):
            self.tasks.async_task(self.tasks.noop)

    def enqueue_text(self, count: int, text: str) -> None:
        for _ in range(count):
            self.tasks.async_task(self.tasks.take, text)

    def enqueue_sleep(self, seconds: float) -> None:
        self.tasks.async_task(self.tasks.sleep, seconds)

    def stored(self) -> int | None:
        return tables.count("django_q.Task", success=True)
