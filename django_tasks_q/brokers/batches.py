"""What is written in one statement: not more than the database takes."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from .values import Outcome

__all__ = ["in_batches", "weight_of"]

T = TypeVar("T")
# Characters of payload in one statement. MySQL takes 16 MiB by default; escaping may make four of each.
LARGEST_BATCH = 2 * 1_048_576


def weight_of(outcome: Outcome) -> int:
    return len(outcome.return_value or "") + len(outcome.error or "")


def in_batches(items: Iterable[T], weight: Callable[[T], int], most: int = 1_000) -> Iterator[list[T]]:
    """Yield the items in batches whose payloads fit into one statement."""
    batch: list[T] = []
    size = 0
    for item in items:
        added = weight(item)
        if batch and (len(batch) == most or size + added > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += added
    if batch:
        yield batch
