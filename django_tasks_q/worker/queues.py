import time
from collections.abc import Sequence

from ..brokers.base import Broker

__all__ = ["QueueSelector"]

# Seconds between looks for queues that have become ready while the worker is busy with others.
LOOK_INTERVAL = 0.5


class QueueSelector:
    """Which queues to claim from. One that was empty is not asked again before the next look."""

    def __init__(self, broker: Broker, names: Sequence[str], excluded: Sequence[str]) -> None:
        self.broker = broker
        self.names = list(names)
        self.excluded = frozenset(excluded)
        self._ready: list[str] = []
        self._look_at = 0.0

    def look(self, *, now: bool = False) -> list[str]:
        """Return the queues that may have READY jobs, another one first each time, so that none starves the rest."""
        if now or time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_INTERVAL
            ready = self.broker.ready_queues()
            self._ready = [name for name in ready if self._is_mine(name)]
        self._ready = self._ready[1:] + self._ready[:1]
        return list(self._ready)

    @property
    def has_ready(self) -> bool:
        """Whether some queue was not empty when it was last asked."""
        return bool(self._ready)

    def note_empty(self, name: str) -> None:
        self._ready.remove(name)

    def _is_mine(self, name: str) -> bool:
        return name not in self.excluded and (not self.names or name in self.names)
