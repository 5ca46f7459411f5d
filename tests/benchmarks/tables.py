"""Tables of peers that keep jobs in the project's own database, by the names of their models: "dj_queue.Job"."""

from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection

__all__ = ["count", "empty"]


def empty(*models: str) -> None:
    """Leave no row in these tables, nor in those that refer to them, and the tables as small as new."""
    tables = [apps.get_model(model)._meta.db_table for model in models]
    connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables, allow_cascade=True))


def count(model: str, **conditions: Any) -> int:
    """Return how many rows fulfil these conditions."""
    rows: int = apps.get_model(model)._default_manager.filter(**conditions).count()
    return rows
