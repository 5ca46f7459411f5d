"""How a sleeping worker is woken."""

from collections.abc import Callable
from functools import cache
from typing import Any

from django.core.signals import setting_changed
from django.db import connections, transaction
from django.utils.module_loading import import_string

from ..compat import task_backends
from .base import Notifier

__all__ = ["Notifier", "get_notifier", "make_notifier", "notify", "notify_cancelled"]

NOTIFIERS = {
    "polling": "django_tasks_q.notifiers.polling.PollingNotifier",
    "postgresql": "django_tasks_q.notifiers.postgresql.PostgreSQLNotifier",
    "redis": "django_tasks_q.notifiers.redis.RedisNotifier",
}


class Wake:
    """What an enqueue, or a cancel, leaves for the end of its transaction."""

    def __init__(self, notifier: Notifier, send: Callable[[], None]) -> None:
        self.notifier = notifier
        self.send = send
        # By this Django names a callback that has failed; before 6.0 it takes each for a function.
        self.__qualname__ = type(self).__qualname__

    def __call__(self) -> None:
        self.send()


def notify(alias: str, using: str) -> None:
    """Wake the workers of a backend once the current transaction has committed; a failure is logged, not raised."""
    notifier = get_notifier(alias, using)
    _send_on_commit(Wake(notifier, notifier.send))


def notify_cancelled(alias: str, using: str) -> None:
    """Tell the workers of a backend, once the current transaction has committed, that running jobs are to stop."""
    notifier = get_notifier(alias, using)
    _send_on_commit(Wake(notifier, notifier.send_cancelled))


def _send_on_commit(wake: Wake) -> None:
    if wake.notifier.wakes and not _is_pending(wake):
        transaction.on_commit(wake, using=wake.notifier.using, robust=True)


def _is_pending(wake: Wake) -> bool:
    """Say whether the last thing that this transaction will do is this very wake-up."""
    connection = connections[wake.notifier.using]
    if not connection.run_on_commit:
        return False
    savepoints, function, *_ = connection.run_on_commit[-1]
    same = isinstance(function, Wake) and function.send == wake.send
    return same and savepoints == set(connection.savepoint_ids)


@cache
def get_notifier(alias: str, using: str) -> Notifier:
    """Return the notifier for the producers of this process."""
    return make_notifier(alias, using)


def make_notifier(alias: str, using: str) -> Notifier:
    """Return a notifier of one's own, for a worker."""
    options = task_backends[alias].config
    notifier: Notifier = import_string(NOTIFIERS[_choose(options.notifier, connections[using])])(alias, using, options)
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
