"""Strikes at random moments, with a seed, and undoes what is to be undone."""

import heapq
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable

from .errors import ChaosError
from .faults import FAULTS, NONE, Fault, Scene

__all__ = ["Injector", "usable"]


def usable(scene: Scene, wanted: Iterable[str] = ()) -> tuple[dict[str, Fault], dict[str, str]]:
    """Return the kinds that can be done to this scene, and why the others cannot."""
    chosen: dict[str, Fault] = {}
    left_out = {}
    for name in [] if [*wanted] == [NONE] else wanted or FAULTS:
        if name not in FAULTS:
            raise ChaosError(f'There is no fault "{name}". Known: {", ".join(FAULTS)}.')
        fault = FAULTS[name]
        if scene.server.vendor not in fault.vendors:
            left_out[name] = f"not with {scene.server.vendor}"
        elif fault.needs and getattr(scene, fault.needs) is None:
            left_out[name] = scene.missing.get(fault.needs, f"there is no {fault.needs}")
        else:
            chosen[name] = fault
    return chosen, left_out


class Injector:
    """every: seconds between two strikes, on average. tell: called with each, its kind and what was done."""

    def __init__(self, scene: Scene, kinds: dict[str, Fault], every: float, tell: Callable[[str, str], None]) -> None:
        self.scene = scene
        self.kinds = kinds
        self.every = every
        self.tell = tell
        self.struck: Counter[str] = Counter()
        # Moments: see Fault.
        self.uncounted: list[float] = []
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()
        self._next_at = time.monotonic() + every

    def turn(self) -> None:
        """Do what is due."""
        self._undo(time.monotonic())
        if self.kinds and time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + self.scene.random.expovariate(1 / self.every)
            self._strike()

    def rest(self) -> None:
        """Undo what is due, and strike nothing."""
        self._undo(time.monotonic())

    def finish(self) -> None:
        """Undo everything, now."""
        self._undo(float("inf"))

    def _strike(self) -> None:
        (name,) = self.scene.random.choices([*self.kinds], [fault.weight for fault in self.kinds.values()])
        fault = self.kinds[name]
        try:
            done = fault.strike(self.scene)
        except ChaosError as error:
            # The server may be away, by an earlier strike: then there is nothing to hit.
            self.tell("missed", f"{name}: {error}")
            return
        if done is None:
            return
        what, later = done
        self.struck[name] += 1
        self.uncounted += [time.time()] * fault.uncounted
        self.tell(name, what)
        for seconds, undo in later:
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._number), undo))

    def _undo(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            try:
                heapq.heappop(self._later)[2]()
            except ChaosError as error:
                # A server that cannot start on a full disk is started when there is room again.
                self.tell("missed", str(error))
