from collections.abc import Iterable

from ..brokers import get_broker
from ..lifecycle import ResultStatus

__all__ = ["BATCH", "prune"]

# Rows in one transaction: enough to be fast, few enough not to block the workers.
BATCH = 1_000


def prune(*, backend: str = "default", older_than: float | None = None, statuses: Iterable[str] | None = None) -> int:
    """Delete results that finished too long ago, in batches, until none is left; return how many were deleted.

    older_than: seconds; None uses result_ttl or failure_ttl of OPTIONS, depending on the status.
    statuses: of ResultStatus; None means all of them. Raise ValueError for any other.
    """
    wanted = [ResultStatus(status) for status in (ResultStatus if statuses is None else statuses)]
    options = get_broker(backend).options
    deleted = 0
    for status in wanted:
        age = options.ttl(status) if older_than is None else older_than
        if age is not None:
            deleted += _prune_status(backend, status, age)
    return deleted


def _prune_status(backend: str, status: str, age: float) -> int:
    broker = get_broker(backend)
    pruned = broker.prune_next(status, age, limit=BATCH)
    deleted = pruned.deleted
    while pruned.is_full:
        pruned = broker.prune_next(status, age, pruned.position, limit=BATCH)
        deleted += pruned.deleted
    return deleted
