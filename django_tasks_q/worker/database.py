import logging
import random
import time
from contextlib import ExitStack
from types import TracebackType

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections, reset_queries

from ..brokers.base import Broker
from ..brokers.failures import Failure, is_misconfigured
from .shutdown import Shutdown
from .watchdog import Watchdog

__all__ = ["LONGEST_DELAY", "Database"]

logger = logging.getLogger("django_tasks_q.worker")
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
# Seconds to wait after a lock; and between two log lines about locks.
LOCKED_DELAY, TELL_AGAIN = 0.05, 10.0


class Database:
    """The supervisor's connection, which may be lost at any time and reconnects automatically.

    As a context manager it runs statements: a lost connection, or another session's lock, ends the block quietly.
    """

    def __init__(self, broker: Broker, shutdown: Shutdown) -> None:
        self.broker = broker
        self.using = broker.using
        self.watchdog = Watchdog(shutdown, broker.options.rescue_after)
        # Whether the session has to be prepared before statements can be sent.
        self.is_new = True
        # Monotonic seconds: when to try again to reach it, and to lock what another session has locked.
        self.retry_at = 0.0
        self.locked_until = 0.0
        self._delay = 0.0
        self._tell_at = 0.0
        self._refusal = ""
        # While this is in use, a connection that is opened ends its own waits.
        self._limits = ExitStack()

    @property
    def is_unreachable(self) -> bool:
        """Whether it has failed, and it is not yet time to try again."""
        return time.monotonic() < self.retry_at

    @property
    def is_locked(self) -> bool:
        """Whether another session has locked what is needed, and it is not yet time to try again."""
        return time.monotonic() < self.locked_until

    @property
    def is_answering(self) -> bool:
        """Whether the last statements have been answered."""
        return not self.is_new and not self.is_locked

    def connect(self) -> None:
        """Open the connection, if it is not open, and watch it from its first statement on."""
        if self.is_new:
            # Until leave(): Django opens another connection by itself, if it loses one inside a transaction.
            self._limits.close()
            self._limits.enter_context(self.broker.dialect.limited_waits())
        self.broker.connection.ensure_connection()
        if self.broker.dialect.has_server and not self.watchdog.is_watching:
            self.watchdog.start(self.broker.dialect.descriptor())

    def note_connected(self) -> None:
        """The session is prepared: statements can be sent."""
        self.is_new = False

    def leave(self) -> None:
        """Stop watching the connection: this process is left with one thread, and with the settings as they were."""
        self.is_new = True
        self.watchdog.stop()
        self._limits.close()

    def __enter__(self) -> None:
        self.watchdog.begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            if error is not None:
                return self._pass_by(error)
            if self._delay and not self.is_new:
                logger.info("The database is back.")
                self._delay, self._refusal = 0.0, ""
            if settings.DEBUG:
                reset_queries()
            return True
        finally:
            self.watchdog.end()

    def _pass_by(self, error: BaseException) -> bool:
        """React to an error of the database; return whether the worker goes on with something else."""
        if not isinstance(error, DatabaseError | InterfaceError):
            return False
        failure = self.broker.dialect.failure(error)
        if failure is Failure.GONE:
            self._fail(error)
        elif failure is Failure.LOCKED:
            self._wait_for_lock(error)
        return failure in (Failure.GONE, Failure.LOCKED)

    def _fail(self, error: Exception) -> None:
        # Full jitter, so that many workers do not reconnect at the same time.
        self._delay = min(LONGEST_DELAY, max(FIRST_DELAY, self._delay * 2))
        wait = random.uniform(self._delay / 2, self._delay)
        self.retry_at = time.monotonic() + wait
        self.leave()
        self._tell(error, wait)
        connections[self.using].close()

    def _tell(self, error: Exception, wait: float) -> None:
        reason = _first_line(error)
        if is_misconfigured(error):
            # Logged as an error once: it is retried for as long as it takes.
            level = logging.WARNING if reason == self._refusal else logging.ERROR
            text = 'The database cannot be used (%s): look at DATABASES["%s"]. Again in %.1f s.'
            logger.log(level, text, reason, self.using, wait)
            self._refusal = reason
        else:
            logger.warning("The database does not answer (%s); again in %.1f s.", reason, wait)

    def _wait_for_lock(self, error: Exception) -> None:
        """Continue with something else: the connection is fine."""
        self.locked_until = time.monotonic() + LOCKED_DELAY
        if self.is_new:
            self.retry_at = self.locked_until
        if time.monotonic() >= self._tell_at:
            self._tell_at = time.monotonic() + TELL_AGAIN
            logger.warning("Another session holds a lock that is needed (%s); it is tried again.", _first_line(error))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
