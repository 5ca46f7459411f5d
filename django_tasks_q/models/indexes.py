from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.ddl_references import Statement

__all__ = ["StatusIndex"]


class StatusIndex(models.Index):
    """An index over the rows of one status: partial if the database supports that, else led by the status column."""

    def __init__(self, *, status: str, fields: list[str], name: str) -> None:
        self.status = status
        super().__init__(fields=fields, name=name)

    def deconstruct(self) -> tuple[str, Any, dict[str, object]]:
        path = f"{self.__class__.__module__}.{self.__class__.__qualname__}"
        return path, (), {"status": self.status, "fields": self.fields, "name": self.name}

    def create_sql(
        self, model: type[models.Model], schema_editor: BaseDatabaseSchemaEditor, using: str = "", **kwargs: Any
    ) -> Statement:
        # Given to a plain index here, because a condition in Meta draws a warning from databases that ignore it.
        if schema_editor.connection.features.supports_partial_indexes:
            index = models.Index(fields=self.fields, name=self.name, condition=models.Q(status=self.status))
        else:
            index = models.Index(fields=["status", *self.fields], name=self.name)
        return index.create_sql(model, schema_editor, using=using, **kwargs)
