from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

from ..errors import BenchmarkError
from ..laboratory import Laboratory
from ..peers import Peer
from ..progress import Progress
from ..samples import Sample
from .floors import measure_floor

__all__ = ["Column", "Scenario", "rotated"]

Item = TypeVar("Item")

# Jobs, and seconds that tell a rate well enough.
FEWEST, MOST, GROWTH, LONG_ENOUGH = 200, 100_000, 5, 0.5


@dataclass(frozen=True, slots=True)
class Column:
    """A further figure of a scenario, by its key in a sample's details."""

    key: str
    heading: str
    form: str = "{:,.1f}"


class Scenario:
    """One question, asked of each peer in each round."""

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str] = "jobs/s"
    higher_is_better: ClassVar[bool] = True
    # Whether a freeze of the machine changes the figure.
    is_timed: ClassVar[bool] = True
    # The only database that it is about; None for the one that was asked for.
    vendor: ClassVar[str | None] = None
    # The measurements of the floor beside which the figures are seen. PostgreSQL only.
    floors: ClassVar[tuple[str, ...]] = ()
    columns: ClassVar[tuple[Column, ...]] = ()
    # Under which name the sizes of runs are kept; None where they do not follow a peer's speed.
    sizing: ClassVar[str | None] = None
    # Whether our own queue alone is measured unless others are asked for.
    is_about_us: ClassVar[bool] = False

    def can_measure(self, peer: Peer) -> bool:
        return True

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        raise NotImplementedError

    def try_out(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        """Return a sample that tells how fast the peer is, where there is `sizing`."""
        return self.measure(lab, peer, vendor, jobs)

    def run(self, lab: Laboratory, peers: Sequence[Peer], vendor: str, progress: Progress) -> Iterator[Sample]:
        """Yield each peer's sample of each round, in an order that rotates."""
        vendor = self.vendor or vendor
        peers = [peer for peer in peers if vendor in peer.databases and self.can_measure(peer)]
        floors = self.floors if vendor == "postgresql" and lab.options.floor_seconds else ()
        progress.begin(self.name, (lab.options.rounds + 1) * len(peers) + lab.options.rounds * bool(floors))
        sizes = {}
        for peer in peers:
            progress.step(f"{peer.name}: how many jobs")
            sizes[peer.name] = self._size(lab, peer, vendor)
        turns: list[Peer | None] = [*peers, None] if floors else [*peers]
        for number in range(1, lab.options.rounds + 1):
            for turn in rotated(turns, number - 1):
                progress.step(f"round {number}: {'the floor' if turn is None else turn.name}")
                if turn is None:
                    samples = [*measure_floor(lab, floors, as_latency=not self.higher_is_better)]
                else:
                    samples = [self._sample(lab, turn, vendor, sizes[turn.name])]
                for sample in samples:
                    progress.done(sample, self.unit)
                    yield replace(sample, round=number)

    def _sample(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int | str) -> Sample:
        if isinstance(jobs, str):
            return Sample(peer.name, error=jobs)
        try:
            return self.measure(lab, peer, vendor, jobs)
        except BenchmarkError as error:
            return Sample(peer.name, error=str(error))

    def _size(self, lab: Laboratory, peer: Peer, vendor: str) -> int | str:
        """Return how many jobs the peer runs in the time that a measurement should take, or what prevents it."""
        if lab.options.jobs or not self.sizing:
            return lab.options.jobs or 0
        key = f"{self.sizing} {vendor}", peer.name
        if key not in lab.sizes:
            try:
                rate = self._rate(lab, peer, vendor)
            except BenchmarkError as error:
                return str(error)
            lab.sizes[key] = min(max(int(rate * lab.options.span_seconds), FEWEST), MOST)
        return lab.sizes[key]

    def _rate(self, lab: Laboratory, peer: Peer, vendor: str) -> float:
        """Return jobs a second, found with so many jobs that they take long enough."""
        jobs = FEWEST
        while True:
            sample = self.try_out(lab, peer, vendor, jobs)
            seconds = sample.seconds - sample.frozen
            if seconds >= LONG_ENOUGH or jobs * GROWTH > MOST:
                return sample.effective
            jobs *= GROWTH


def rotated(items: Sequence[Item], by: int) -> list[Item]:
    """Return the items, beginning with another one in each round, so that none always runs first."""
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]
