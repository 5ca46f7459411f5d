import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError, connections, reset_queries

__all__ = ["GONE", "Database"]

logger = logging.getLogger("django_tasks_q.worker")
# What a session ends with; the last one where it was idle in a transaction for too long, as a suspended worker's is.
GONE = (OperationalError, InterfaceError, InternalError)
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0


class Database:
    """The supervisor's connection, which may go away at any moment and comes back by itself."""

    def __init__(self, using: str) -> None:
        self.using = using
        self.is_new = True
        self._delay = 0.0
        self._retry_at = 0.0

    @property
    def seconds_until_retry(self) -> float:
        """How long to leave the database alone after a failure; 0 where it answers."""
        return max(0.0, self._retry_at - time.monotonic())

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Run statements. A lost connection, or a conflict that a repetition solves, ends the block quietly."""
        try:
            yield
        except GONE as error:
            self._fail(error)
        else:
            if settings.DEBUG:
                reset_queries()
            if self._delay:
                logger.info("The database is back.")
                self._delay = 0.0

    def _fail(self, error: Exception) -> None:
        # Full jitter, so that many workers do not come back together.
        self._delay = min(LONGEST_DELAY, max(FIRST_DELAY, self._delay * 2))
        wait = random.uniform(self._delay / 2, self._delay)
        self._retry_at = time.monotonic() + wait
        self.is_new = True
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        logger.warning("The database does not answer (%s); again in %.1f s.", cause, wait)
        connections[self.using].close()
