from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage

from ..conf import Options

__all__ = ["Notifier"]


class Notifier:
    """Wakes sleeping workers. It may fail or be slow without harm: polling finds every job in the end.

    A producer calls send() after its commit. A worker listens with a file descriptor that it can wait for together
    with its children's.
    """

    # Whether send() wakes anybody: where not, an enqueue need not call it.
    wakes = True
    # The statement and its parameters that do what send() does, where it is one of the queue's own database.
    wake_up: tuple[str, Sequence[Any]] | None = None
    # Whether send() asks which workers sleep, so that they have to say so before they do.
    reads_idle_flag = False
    # The first and the longest sleep of an idle worker, in seconds.
    first_sleep, longest_sleep = 5.0, 5.0

    def __init__(self, alias: str, using: str, options: Options) -> None:
        self.alias = alias
        self.using = using
        self.options = options
        self._cancelled = False
        if options.poll_interval is not None:
            self.longest_sleep = options.poll_interval
            self.first_sleep = min(self.first_sleep, options.poll_interval)

    def check_settings(self) -> Iterator[CheckMessage]:
        """Yield what the settings ought to be. Raise ImproperlyConfigured where it cannot work."""
        return iter(())

    def send(self) -> None:
        """Wake the workers of this backend that sleep."""

    def send_cancelled(self) -> None:
        """Tell every worker of this backend, asleep or not, that running jobs are to be cancelled."""

    def hears_cancelled(self) -> bool:
        """Say whether that was heard since the last call; drain() and before_sleep() listen."""
        heard, self._cancelled = self._cancelled, False
        return heard

    def listen(self) -> None:
        """Begin to hear wake-ups; called again after a lost connection."""

    def fileno(self) -> int | None:
        """Return what becomes readable at a wake-up, or None where nothing does."""
        return None

    def before_sleep(self) -> bool:
        """See that wake-ups will be heard, without a statement; say whether one has come already."""
        return False

    def drain(self) -> bool:
        """Take what has arrived, without waiting; say whether a wake-up was among it."""
        return False

    def close(self) -> None:
        """Stop listening."""
