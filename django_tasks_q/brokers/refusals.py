"""What is done with an outcome that the database refuses."""

import logging
from typing import TYPE_CHECKING, Any

from django.db import Error, IntegrityError

from ..lifecycle import ResultStatus
from .failures import Failure
from .values import Outcome, Recorded

if TYPE_CHECKING:
    from .base import Broker

__all__ = ["finish_one", "refused"]

logger = logging.getLogger("django_tasks_q.worker")


def refused(outcome: Outcome, error: object) -> Outcome:
    """Return what to record if the database refuses an outcome because of its content."""
    # In ASCII: a character may be the reason for the refusal.
    cause = str(error).encode("ascii", "backslashreplace").decode()
    reason = f"The database refused the outcome of this run: {cause}"[:500]
    nothing: dict[str, Any] = {"return_value": None, "error": None, "arguments": None}
    return outcome._replace(status=ResultStatus.FAILED, is_refused=True, reason=reason, **nothing)


def finish_one(broker: "Broker", worker_id: str, outcome: Outcome) -> tuple[Outcome, Recorded | None]:
    """Record one outcome in the best form that the database accepts; return that form, and what was recorded.

    If it accepts none, the job is set aside with the reason, and nothing is recorded. Raise DatabaseError if the
    connection is gone or a lock is held, or if not even that can be done.
    """
    try:
        return outcome, broker.finish(worker_id, [outcome], skip_locked=True)
    except Error as error:
        if broker.dialect.failure(error) in (Failure.GONE, Failure.LOCKED):
            raise
        logger.warning("The outcome of job %s was refused: %s", outcome.id, error)
        if isinstance(error, IntegrityError):
            recorded = _finish_instead(broker, worker_id, outcome)
            if recorded is not None:
                return outcome, recorded
        outcome = refused(outcome, str(error))
    try:
        return outcome, broker.finish(worker_id, [outcome], skip_locked=True)
    except Error as error:
        if broker.dialect.failure(error) in (Failure.GONE, Failure.LOCKED):
            raise
        reason = f"Its outcome cannot be recorded: {error}"
    broker.set_aside(worker_id, outcome, reason)
    logger.error("Job %s is set aside. %s", outcome.id, reason)
    return outcome, None


def _finish_instead(broker: "Broker", worker_id: str, outcome: Outcome) -> Recorded | None:
    """Record an outcome in place of the result with its id; None if that was not the reason for the refusal."""
    try:
        recorded = broker.finish_instead(worker_id, outcome)
    except IntegrityError:
        return None
    logger.warning("Job %s already had a result; it was replaced by the result of this run.", outcome.id)
    return recorded
