"""Freezes: a virtual machine may be stopped by its host for seconds, which is nobody's fault that is measured here."""

import time
from threading import Event, Thread
from types import TracebackType
from typing import Self

__all__ = ["SECOND", "Freezes"]

# Nanoseconds.
SECOND = 1_000_000_000
TICK, LONGEST_TICK = 5_000_000, 50_000_000


class Freezes:
    """A ticker that sleeps 5 ms again and again: where more than 50 ms pass, nothing ran on this machine."""

    def __init__(self, now: int | None = None) -> None:
        self._last = time.monotonic_ns() if now is None else now
        self._gaps: list[tuple[int, int]] = []
        self._stop = Event()
        self._thread = Thread(target=self._run, name="freezes", daemon=True)

    def __enter__(self) -> Self:
        self._last = time.monotonic_ns()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def tick(self, now: int) -> None:
        """Note that the machine runs at this moment, in nanoseconds of the monotonic clock."""
        if now - self._last > LONGEST_TICK:
            self._gaps.append((self._last + TICK, now))
        self._last = now

    def frozen(self, since: int, until: int) -> float:
        """Return for how many seconds the machine stood still between two moments in nanoseconds."""
        self._wait_for(until)
        overlaps = (min(end, until) - max(start, since) for start, end in self._gaps)
        return sum(overlap for overlap in overlaps if overlap > 0) / SECOND

    def _run(self) -> None:
        while not self._stop.wait(TICK / SECOND):
            self.tick(time.monotonic_ns())

    def _wait_for(self, moment: int) -> None:
        """The ticker may not have run again since the last freeze."""
        while self._thread.is_alive() and self._last < moment:
            time.sleep(TICK / SECOND)
