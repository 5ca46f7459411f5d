"""What must be true of the database before a worker uses it."""

from django.core.checks import ERROR
from django.core.exceptions import ImproperlyConfigured
from django.db.migrations.executor import MigrationExecutor

from ..brokers.base import Broker

__all__ = ["refuse_unready"]

APP = "django_tasks_q"


def refuse_unready(broker: Broker) -> None:
    """Raise ImproperlyConfigured where the database is too old, or a migration of this package is missing."""
    for message in broker.check_database():
        if message.level >= ERROR:
            raise ImproperlyConfigured(f"{message.msg} {message.hint}")
    executor = MigrationExecutor(broker.connection)
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
    missing = [migration.name for migration, _ in executor.migration_plan(targets) if migration.app_label == APP]
    if missing:
        raise ImproperlyConfigured(
            f'The database "{broker.using}" lacks migrations of this package: {", ".join(missing)}. '
            f"Run: python manage.py migrate django_tasks_q --database {broker.using}"
        )
