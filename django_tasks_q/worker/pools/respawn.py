import math
import time

__all__ = ["RespawnDelay"]

FIRST, LONGEST = 0.5, 30.0


class RespawnDelay:
    """Waits longer and longer before it restarts a process that dies before it is ready.

    It may die for ever, for example because a module cannot be imported.
    """

    def __init__(self) -> None:
        self._delay = 0.0
        self._until = -math.inf

    def note_ready(self) -> None:
        self._delay = 0.0

    def note_early_death(self) -> None:
        self._delay = min(max(FIRST, self._delay * 2), LONGEST)
        self._until = time.monotonic() + self._delay

    @property
    def seconds(self) -> float:
        """How long to wait; 0 if it may start now."""
        return max(0.0, self._until - time.monotonic())
