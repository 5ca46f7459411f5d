from typing import ClassVar

from ..base import Broker
from ..dialects.postgresql import PostgreSQLDialect
from .claim import ClaimStatements
from .enqueue import EnqueueStatements
from .finish import FinishStatements

__all__ = ["PostgreSQLBroker"]


class PostgreSQLBroker(EnqueueStatements, ClaimStatements, FinishStatements, Broker):
    """One statement for each of insert-many, claim, finish and hand-back."""

    dialect_class: ClassVar[type[PostgreSQLDialect]] = PostgreSQLDialect
    dialect: PostgreSQLDialect
