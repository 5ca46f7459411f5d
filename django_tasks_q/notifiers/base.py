from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.core.checks import CheckMessage
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import Options

__all__ = ["Ear", "Notifier", "Queues", "is_pooled"]

# How many jobs in which queues are ready; None if it may be any queue.
Queues = Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Ear:
    """What a worker listens to. address: its own, for wake-ups to this worker only."""

    address: str
    queues: Collection[str] = ()
    excluded_queues: Collection[str] = ()

    def is_for(self, queue: str) -> bool:
        """Return whether it takes jobs from this queue."""
        return queue not in self.excluded_queues and (not self.queues or queue in self.queues)


def is_pooled(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a connection seems to use a transaction pooler: Django requires this setting for that."""
    return bool(connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"))


class Notifier:
    """Wakes sleeping workers. It may fail or be slow without harm: polling finds every job in the end.

    A producer calls send() after its commit. A worker listens on a file descriptor that it can wait for together with
    its children's.
    """

    # Whether send() wakes any worker: if not, an enqueue need not call it.
    wakes = True
    # Whether send() queries for sleeping workers, so that they have to register before they sleep.
    reads_idle_flag = False
    # Whether a worker that uses it needs a session to itself, without a transaction pooler.
    keeps_session = False
    # The first and the longest sleep of an idle worker, in seconds.
    first_sleep, longest_sleep = 5.0, 5.0

    def __init__(self, alias: str, using: str, options: Options) -> None:
        self.alias = alias
        self.using = using
        self.options = options
        self._cancelled = False
        self._heard: set[str] = set()
        if options.poll_interval is not None:
            self.longest_sleep = options.poll_interval
            self.first_sleep = min(self.first_sleep, options.poll_interval)

    def check_settings(self) -> Iterator[CheckMessage]:
        """Yield warnings about the settings. Raise ImproperlyConfigured if it cannot work."""
        return iter(())

    def wake_up(self, queue: str) -> tuple[str, Sequence[object]] | None:
        """Return the statement and its parameters that do what send() does for one job of this queue.

        None if that takes more than one statement in the queue's own database.
        """
        return None

    def send(self, queues: Queues = None) -> None:
        """Wake as many sleeping workers that listen to these queues as needed; all of them if no queue is named."""

    def send_cancelled(self) -> None:
        """Tell every worker of this backend, asleep or not, that running jobs are to be cancelled."""

    def hears_cancelled(self) -> bool:
        """Return whether that was received since the last call, by drain() or before_sleep()."""
        heard, self._cancelled = self._cancelled, False
        return heard

    def take_heard(self) -> set[str]:
        """Return the queues for which this worker, rather than all of them, has been woken since the last call."""
        heard, self._heard = self._heard, set()
        return heard

    def listen(self, ear: Ear) -> None:
        """Start listening for wake-ups; called again after a lost connection."""

    def fileno(self) -> int | None:
        """Return the file descriptor that becomes readable at a wake-up, or None."""
        return None

    def before_sleep(self) -> bool:
        """Make sure that wake-ups will be received, without a statement; return whether one has already arrived."""
        return False

    def drain(self) -> bool:
        """Read what has arrived, without waiting; return whether it includes a wake-up."""
        return False

    def close(self) -> None:
        """Stop listening."""
