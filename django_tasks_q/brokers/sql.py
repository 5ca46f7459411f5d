"""What the statements of several verbs are made of."""

from collections.abc import Iterable
from typing import Any

from ..models.job import Call, Job
from ..models.log import JobLog
from ..models.result import Result

__all__ = ["CALL_COLUMNS", "JOB", "LOG", "MOST_KEYS", "MOST_LOSSES", "RESULT", "counted", "placeholders"]

JOB, RESULT, LOG = Job._meta.db_table, Result._meta.db_table, JobLog._meta.db_table
# Those that a job and its result have in common.
CALL_COLUMNS = tuple(field.attname for field in Call._meta.fields)
# Keys in one statement.
MOST_KEYS = 1_000
MOST_RUNS, MOST_LOSSES = 2**31 - 1, 2**15 - 1


def placeholders(values: Iterable[Any]) -> str:
    """Return a placeholder for each value."""
    return ", ".join("%s" for _ in values)


def counted(column: str, more: str = "1", *, most: int = MOST_RUNS) -> str:
    """Return SQL for a counter with more added, as long as its column can hold it.

    Another client may have set it so high, and one such row would have the statement fail for all the others.
    """
    return f"CASE WHEN {column} < {most} THEN {column} + {more} ELSE {column} END"
