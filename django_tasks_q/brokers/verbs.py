"""What every verb of a broker works with."""

from contextlib import AbstractContextManager
from typing import Any, ClassVar

from django.db import connections

from ..conf import Options
from .dialects.base import Dialect

__all__ = ["Verbs"]


class Verbs:
    """A backend (`alias`), its options, the alias of the database that holds its tables (`using`), and its dialect."""

    dialect_class: ClassVar[type[Dialect]]

    def __init__(self, alias: str, using: str, options: Options) -> None:
        self.alias = alias
        self.using = using
        self.options = options
        self.dialect = self.dialect_class(using, options)

    @property
    def connection(self) -> Any:
        return connections[self.using]

    def transaction(self, *, durable: bool = True, savepoint: bool = True) -> AbstractContextManager[Any]:
        """Open a transaction in which verbs are called together; see Dialect.transaction()."""
        return self.dialect.transaction(durable=durable, savepoint=savepoint)
