"""Names that occur in a large table, without reading all of it."""

from collections.abc import Iterator
from itertools import islice

from django.db.models import Model, QuerySet

from ..models import Result

__all__ = ["find_task_paths", "newest_values"]

# How many of the newest rows represent all.
LOOK = 1_000
# How many tasks are looked up by name, one query each.
MOST_PATHS = 200


def newest_values(rows: QuerySet[Model], field: str) -> list[str]:
    """Return the values that a column has in the newest rows, sorted."""
    return sorted(set(rows.order_by("-pk").values_list(field, flat=True)[:LOOK]))


def find_task_paths(results: QuerySet[Result], text: str) -> list[str]:
    """Return the paths of tasks that contain a text, sorted.

    If there are more than MOST_PATHS tasks, the others are found only if they ran recently or begin with the text.
    """
    paths = list(islice(_walk(results, ""), MOST_PATHS))
    if len(paths) == MOST_PATHS:
        paths += newest_values(results, "task_path") + list(islice(_walk(results, text), MOST_PATHS))
    return sorted({path for path in paths if text.lower() in path.lower()})


def _walk(results: QuerySet[Result], start: str) -> Iterator[str]:
    """Yield the paths from one on, in the order of the task index: one probe each."""
    following = results.filter(task_path__gte=start)
    while (path := following.order_by("task_path").values_list("task_path", flat=True).first()) is not None:
        yield path
        following = results.filter(task_path__gt=path)
