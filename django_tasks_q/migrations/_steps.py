"""How migrations are made that run beside workers."""

from typing import Any

from django.db import migrations

__all__ = ["OneByOne"]


class OneByOne(migrations.Migration):
    """Each operation in a transaction of its own, where the database can take back what it does to tables.

    One table at a time: a worker uses several in one transaction, and it and the migration would wait for each other.
    But not without a transaction: SQLite copies a table, and what a worker wrote meanwhile would be lost.
    """

    atomic = False

    def apply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        self._separate(schema_editor)
        return super().apply(project_state, schema_editor, collect_sql)

    def unapply(self, project_state: Any, schema_editor: Any, collect_sql: bool = False) -> Any:
        self._separate(schema_editor)
        return super().unapply(project_state, schema_editor, collect_sql)

    def _separate(self, schema_editor: Any) -> None:
        for operation in self.operations:
            operation.atomic = schema_editor.connection.features.can_rollback_ddl
