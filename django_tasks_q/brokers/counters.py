"""Counters that stop at what their column can hold: another client may have set one so high."""

__all__ = ["MOST_LOSSES", "counted"]

MOST_RUNS, MOST_LOSSES = 2**31 - 1, 2**15 - 1


def counted(column: str, more: str = "1", *, most: int = MOST_RUNS) -> str:
    """Return SQL for a counter with more added, as long as its column can hold it."""
    return f"CASE WHEN {column} < {most} THEN {column} + {more} ELSE {column} END"
