"""Batches for one statement: no more than the database accepts."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from .values import ClaimedJob, JobSpec, Outcome

__all__ = ["bytes_of", "in_batches", "size_of", "weight_of", "weight_of_spec"]

T = TypeVar("T")
# Bytes of payload in one statement. MySQL accepts 16 MiB by default; a payload is JSON, is encoded as JSON once more,
# and is escaped by the driver: quotes and backslashes grow fourfold, other characters do not grow.
LARGEST_BATCH = 2 * 1_048_576
# Texts of up to this many characters are not measured exactly in bytes.
SMALL = 1_000


def bytes_of(text: str) -> int:
    """Return how many bytes a text has in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def weight_of(outcome: Outcome) -> int:
    """Return the bytes of payload in an outcome."""
    if outcome.error is None and outcome.arguments is None:
        # Nearly all of them.
        value = outcome.return_value or ""
        return len(value) if len(value) < SMALL else bytes_of(value)
    value, error = outcome.return_value or "", outcome.error or ""
    size = len(value) + len(error)
    weight = size if size < SMALL else bytes_of(value) + bytes_of(error)
    return weight + sum(map(bytes_of, outcome.arguments)) if outcome.arguments else weight


def weight_of_spec(spec: JobSpec) -> int:
    """Return the bytes of payload in a job that is to be enqueued."""
    return bytes_of(spec.args) + bytes_of(spec.kwargs) + bytes_of(spec.metadata) + bytes_of(spec.options)


def size_of(job: ClaimedJob) -> int:
    """Return the bytes of payload in a job that was claimed."""
    size = len(job.args) + len(job.kwargs) + len(job.metadata) + len(job.errors)
    if size < SMALL:
        return size
    return bytes_of(job.args) + bytes_of(job.kwargs) + bytes_of(job.metadata) + bytes_of(job.errors)


def in_batches(items: Iterable[T], weight: Callable[[T], int], most: int = 1_000) -> Iterator[list[T]]:
    """Yield the items in batches with payloads that fit into one statement."""
    if isinstance(items, list) and 0 < len(items) <= most and sum(map(weight, items)) <= LARGEST_BATCH:
        yield items
        return
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
