"""The database's requirements before a worker uses it."""

import logging
from collections.abc import Iterator

from django.apps import apps
from django.core.checks import ERROR
from django.core.exceptions import ImproperlyConfigured
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from ..brokers.base import Broker
from ..monitoring.migrations import APP, find_unapplied

__all__ = ["refuse_unready"]

logger = logging.getLogger("django_tasks_q.worker")


def refuse_unready(broker: Broker) -> None:
    """Raise ImproperlyConfigured if the database is too old, or its tables are not those of this package.

    Tables of a later version are accepted as long as this version can write to them.
    """
    for message in broker.dialect.check_database():
        if message.level >= ERROR:
            raise ImproperlyConfigured(f"{message.msg} {message.hint}")
    executor = MigrationExecutor(broker.connection)
    if missing := find_unapplied(executor):
        raise ImproperlyConfigured(
            f'The database "{broker.using}" lacks migrations of this package: {", ".join(missing)}. '
            f"Run: python manage.py migrate django_tasks_q --database {broker.using}"
        )
    if unknown := _unknown_migrations(executor.loader):
        _refuse_strange(broker, unknown)


def _unknown_migrations(loader: MigrationLoader) -> list[str]:
    applied: set[tuple[str, str]] = set(loader.applied_migrations or ())
    return sorted(name for app, name in applied.difference(loader.disk_migrations or ()) if app == APP)


def _refuse_strange(broker: Broker, migrations: list[str]) -> None:
    strange = f'The database "{broker.using}" has migrations that this version does not know: {", ".join(migrations)}'
    if demanded := list(_demanded_columns(broker)):
        raise ImproperlyConfigured(
            f"{strange}. They require columns that it cannot fill: {', '.join(demanded)}. Upgrade this worker's code."
        )
    logger.warning("%s; the worker runs anyway. Upgrade its code soon.", strange)


def _demanded_columns(broker: Broker) -> Iterator[str]:
    """Yield the columns that an INSERT must fill and this version does not know."""
    connection = broker.connection
    with connection.cursor() as cursor:
        for model in apps.get_app_config(APP).get_models():
            known = {field.column for field in model._meta.fields}
            for column in connection.introspection.get_table_description(cursor, model._meta.db_table):
                if column.name not in known and not column.null_ok and column.default is None:
                    yield f"{model._meta.db_table}.{column.name}"
