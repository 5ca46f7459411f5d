from collections.abc import Iterable

from ..brokers import get_broker
from ..conf import Options
from ..lifecycle import ResultStatus

__all__ = ["BATCH", "lifetimes", "prune"]

# Rows of one transaction: enough to be quick, few enough not to hold up the workers.
BATCH = 1_000


def prune(*, backend: str = "default", older_than: float | None = None, statuses: Iterable[str] | None = None) -> int:
    """Delete what finished too long ago, in batches, until nothing is left; return how many results that were.

    older_than: seconds; None takes result_ttl and failure_ttl of OPTIONS, whichever holds for a status.
    statuses: of ResultStatus; None takes all of them. Raise ValueError for another one.
    """
    wanted = [ResultStatus(status) for status in (ResultStatus if statuses is None else statuses)]
    broker = get_broker(backend)
    kept = lifetimes(broker.options)
    deleted = 0
    for status in wanted:
        age = kept[status] if older_than is None else older_than
        if age is not None:
            deleted += _prune_status(backend, status, age)
    return deleted


def lifetimes(options: Options) -> dict[ResultStatus, float | None]:
    """Return for how many seconds a result of each status is kept; None keeps it for ever."""
    return {
        ResultStatus.SUCCESSFUL: options.result_ttl,
        ResultStatus.FAILED: options.failure_ttl,
        ResultStatus.CANCELLED: options.result_ttl,
    }


def _prune_status(backend: str, status: str, age: float) -> int:
    broker = get_broker(backend)
    deleted = batch = broker.prune([status], age, limit=BATCH)
    while batch == BATCH:
        batch = broker.prune([status], age, limit=BATCH)
        deleted += batch
    return deleted
