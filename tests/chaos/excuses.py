"""For how long, and why, a worker could not do what it promises: nothing else excuses it."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

__all__ = ["ALL", "EVERYBODY", "Ended", "Excuses", "Span"]

# What may be excused: see liveness.
ALL = frozenset({"beat", "hands", "lost", "stop", "probe", "still"})
OF_A_WORKER = ALL - {"probe", "still"}
EVERYBODY = "*"


@dataclass(frozen=True, slots=True)
class Span:
    """who: a worker ("w1.3"), all of a place ("w1"), or EVERYBODY. since, until: this host's clock, seconds."""

    who: str
    since: float
    until: float
    why: str
    what: frozenset[str] = ALL


@dataclass(frozen=True, slots=True)
class Ended:
    """A worker, or one process of it, has ended or was presumed dead without having recorded all it had run."""

    worker: str
    at: float
    pid: int = 0


@dataclass(slots=True)
class Excuses:
    """rescue: seconds after which what a dead worker held runs again, at the latest."""

    rescue: float = 0.0
    spans: list[Span] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)

    def note(
        self, who: str, why: str, seconds: float = 0.0, *, what: Iterable[str] = ALL, since: float | None = None
    ) -> None:
        """Excuse from now on, or `since`, for this many seconds."""
        began = time.time() if since is None else since
        self.spans.append(Span(who, began, began + seconds, why, frozenset(what)))

    def until(
        self, who: str | Iterable[str], why: str, undo: Callable[[], object], grace: float = 0.0,
        what: Iterable[str] = ALL,
    ) -> Callable[[], None]:  # fmt: skip
        """Excuse from now on until `undo` is called, by way of what is returned; and for `grace` seconds more."""
        began, all_of_them = time.time(), [who] if isinstance(who, str) else [*who]

        def undone() -> None:
            undo()
            for each in all_of_them:
                self.note(each, why, time.time() - began + grace, what=what, since=began)

        return undone

    def gone(self, worker: str, why: str) -> None:
        """A worker has ended with all that it held, which waits for its rescue."""
        self.note(worker, why, math.inf, since=time.time() - 0.5, what=OF_A_WORKER)
        self.note(EVERYBODY, why, self.rescue, what={"probe"})
        self.ended.append(Ended(worker, time.time()))

    def killed(self, worker: str, pids: Iterable[int], why: str) -> None:
        """Some processes of a worker have ended; their jobs begin again soon."""
        self.note(EVERYBODY, why, 3.0, what={"probe"})
        self.ended += [Ended(worker, time.time(), pid) for pid in pids]

    # Asking. worker: its name; "" where what is asked for is excused by anything.

    def covered(self, what: str, worker: str, since: float, until: float) -> float:
        """Return for how many of these seconds there is an excuse."""
        seconds, end = 0.0, since
        for span in sorted(self._about(what, worker), key=lambda span: span.since):
            began, ended = max(span.since, end), min(span.until, until)
            if ended > began:
                seconds += ended - began
                end = ended
        return seconds

    def touches(self, what: str, worker: str, since: float, until: float) -> list[str]:
        """Return why, for all excuses of these seconds."""
        return [span.why for span in self._about(what, worker) if span.since <= until and span.until >= since]

    def _about(self, what: str, worker: str) -> Iterator[Span]:
        place = worker.partition(".")[0]
        for span in self.spans:
            if what in span.what and (not worker or span.who in {EVERYBODY, worker, place}):
                yield span
