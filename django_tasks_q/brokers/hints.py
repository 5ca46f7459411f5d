"""What to do about an error of an enqueue, where that is known."""

import re

from django.core.exceptions import SynchronousOnlyOperation
from django.db import OperationalError, ProgrammingError

__all__ = ["ENQUEUE_ERRORS", "add_hint"]

ENQUEUE_ERRORS = (SynchronousOnlyOperation, OperationalError, ProgrammingError)
ASYNC = "In async code write await task.aenqueue(...), or aenqueue_many(...)."
MIGRATE = "The queue's tables are missing, or older than its code: run manage.py migrate django_tasks_q --database {}."
# PostgreSQL and MySQL; SQLite; MySQL.
_NO_TABLE = re.compile(r"(does not|doesn't) exist")
_NO_COLUMN = re.compile(r"no such (table|column)|has no column named|Unknown column")


def add_hint(error: Exception, using: str) -> None:
    """Append to the text of one of ENQUEUE_ERRORS what to do about it. using: the alias of the queue's database."""
    text = str(error.args[-1]) if error.args else ""
    if isinstance(error, SynchronousOnlyOperation):
        hint = ASYNC
    elif _NO_COLUMN.search(text) or (isinstance(error, ProgrammingError) and _NO_TABLE.search(text)):
        hint = MIGRATE.format(using)
    else:
        return
    error.args = (*error.args[:-1], f"{text.rstrip()} {hint}")
