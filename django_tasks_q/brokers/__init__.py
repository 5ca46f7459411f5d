"""The only code that changes a job. Its entry point is get_broker(), for callers that cannot import models yet."""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.db import connections, router
from django.utils.module_loading import import_string

from ..compat import task_backends

if TYPE_CHECKING:
    from .base import Broker

__all__ = ["BROKERS", "can_hold_queue", "get_broker", "get_database"]

BROKERS = {
    "postgresql": "django_tasks_q.brokers.postgresql.PostgreSQLBroker",
    "mysql": "django_tasks_q.brokers.mysql.MySQLBroker",
    "sqlite": "django_tasks_q.brokers.sqlite.SQLiteBroker",
}


@cache
def get_broker(alias: str) -> "Broker":
    """Return the broker of the backend with this alias. Raise ImproperlyConfigured if its database has none."""
    options = task_backends[alias].config
    using = get_database(alias)
    vendor = connections[using].vendor
    if vendor not in BROKERS:
        raise ImproperlyConfigured(
            f'The database "{using}" is {vendor}, which cannot hold the queue. Use one of {", ".join(BROKERS)}: '
            f'TASKS["{alias}"]["OPTIONS"]["database"] names its alias.'
        )
    broker: Broker = import_string(BROKERS[vendor])(alias, using, options)
    return broker


def can_hold_queue(using: str) -> bool:
    """Return whether there is a broker for this kind of database."""
    return connections[using].vendor in BROKERS


def get_database(alias: str) -> str:
    """Return the alias of the database with this backend's tables: from the option, or from the routers."""
    named = task_backends[alias].config.database
    if named:
        return str(named)
    job = import_module("django_tasks_q.models").Job
    return str(router.db_for_write(job))


def _forget_brokers(*, setting: str, **kwargs: object) -> None:
    if setting in {"TASKS", "DATABASES", "DATABASE_ROUTERS"}:
        get_broker.cache_clear()


setting_changed.connect(_forget_brokers)
