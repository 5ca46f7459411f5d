"""How a sleeping worker is woken."""

import logging
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.db import connections
from django.utils.module_loading import import_string

from ..compat import task_backends
from ..conf import Options
from ..exceptions import SoftCancel, SoftTimeout
from .base import Ear, Notifier, Queues, is_pooled

__all__ = ["Ear", "Notifier", "get_notifier", "make_notifier", "notify", "notify_cancelled"]

logger = logging.getLogger("django_tasks_q.notifier")
NOTIFIERS = {
    "polling": "django_tasks_q.notifiers.polling.PollingNotifier",
    "postgresql": "django_tasks_q.notifiers.postgresql.PostgreSQLNotifier",
    "redis": "django_tasks_q.notifiers.redis.RedisNotifier",
}


class Wake:
    """The wake-up that an enqueue, or a cancel, leaves for the end of its transaction."""

    def __init__(self, notifier: Notifier) -> None:
        self.notifier = notifier

    def __call__(self) -> None:
        try:
            self.send()
        except (SoftTimeout, SoftCancel):
            # It was meant for the task that is running here.
            raise
        except Exception:
            logger.exception("No worker was woken; workers find new jobs when they poll.")

    def send(self) -> None:
        """Announce that running jobs are to stop."""
        self.notifier.send_cancelled()

    def take_in(self, other: "Wake") -> bool:
        """Take over what another one would do; return whether that is possible."""
        return type(other) is type(self) and other.notifier is self.notifier


class WakeForJobs(Wake):
    """Announces ready jobs. queues: how many in which queue; None if it may be any queue."""

    def __init__(self, notifier: Notifier, queues: Queues) -> None:
        super().__init__(notifier)
        self.queues = None if queues is None else dict(queues)

    def send(self) -> None:
        self.notifier.send(self.queues)

    def take_in(self, other: Wake) -> bool:
        if not isinstance(other, WakeForJobs) or not super().take_in(other):
            return False
        if self.queues is None or other.queues is None:
            self.queues = None
            return True
        for queue, jobs in other.queues.items():
            self.queues[queue] = self.queues.get(queue, 0) + jobs
        return True


def notify(alias: str, using: str, queues: Queues = None) -> None:
    """Wake the workers of a backend once the current transaction has committed; a failure is logged, not raised.

    queues: how many jobs in which queue are ready now, or will be later; None if it may be any queue.
    """
    notifier = get_notifier(alias, using)
    if notifier.wakes:
        _send_on_commit(WakeForJobs(notifier, queues))


def notify_cancelled(alias: str, using: str) -> None:
    """Tell the workers of a backend, once the current transaction has committed, that running jobs are to stop."""
    notifier = get_notifier(alias, using)
    if notifier.wakes:
        _send_on_commit(Wake(notifier))


def _send_on_commit(wake: Wake) -> None:
    connection = connections[wake.notifier.using]
    if not _is_ended_by_hand(connection) and not _is_pending(wake, connection):
        connection.on_commit(wake)


def _is_ended_by_hand(connection: Any) -> bool:
    """Return whether the caller has turned autocommit off: Django then announces no commit, and only polling helps."""
    return not connection.in_atomic_block and not connection.get_autocommit()


def _is_pending(wake: Wake, connection: Any) -> bool:
    """Return whether the last action of this transaction covers this wake-up too."""
    if not connection.run_on_commit:
        return False
    savepoints, function, *_ = connection.run_on_commit[-1]
    return isinstance(function, Wake) and savepoints == set(connection.savepoint_ids) and function.take_in(wake)


@cache
def get_notifier(alias: str, using: str) -> Notifier:
    """Return the notifier for the producers of this process."""
    options = task_backends[alias].config
    return _make(_choose(options.notifier, connections[using]), alias, using, options)


def make_notifier(alias: str, using: str) -> Notifier:
    """Return a new notifier, for one worker."""
    options = task_backends[alias].config
    name = _choose(options.notifier, connections[using])
    # Not for a producer: other workers may bypass the pooler, and NOTIFY works through it.
    if options.notifier == "auto" and is_pooled(connections[using]):
        name = "polling"
    return _make(name, alias, using, options)


def _make(name: str, alias: str, using: str, options: Options) -> Notifier:
    notifier: Notifier = import_string(NOTIFIERS[name])(alias, using, options)
    return notifier


def _choose(name: str, connection: Any) -> str:
    if name != "auto":
        return name
    listens = connection.vendor == "postgresql" and connection.Database.__name__ == "psycopg"
    return "postgresql" if listens else "polling"


def _forget_notifiers(*, setting: str, **kwargs: object) -> None:
    if setting in {"TASKS", "DATABASES", "DATABASE_ROUTERS", "CACHES"}:
        get_notifier.cache_clear()


setting_changed.connect(_forget_notifiers)
