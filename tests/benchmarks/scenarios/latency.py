import random
import time
from statistics import median

from .. import marks
from ..clock import SECOND
from ..errors import BenchmarkError
from ..laboratory import Laboratory
from ..peers import Peer
from ..processes import ProcessGroup
from ..quantiles import percentile
from ..samples import Sample
from ..site import Site
from .base import Column, Scenario

__all__ = ["Latency"]

# Seconds between a run and the next enqueue, at random; more for a peer that polls, so that its polling does not fall
# into step with them.
SHORTEST_PAUSE, LONGEST_PAUSE, POLLERS_PAUSE = 0.03, 0.09, 1.03
# Milliseconds from which on a peer is taken to poll.
SLOW = 100.0
# Jobs, and seconds, before the first sample.
WARM_UP, SETTLED = 10, 1.0
MOST_FROZEN = 10
# Seconds after which fewer samples will do.
LONGEST, ENOUGH = 60, 50


class Latency(Scenario):
    name = "latency"
    title = "An idle worker: from the return of enqueue to the first line of the task (p50)"
    unit = "ms"
    higher_is_better = False
    floors = ("listen_notify", "listen_notify_insert")
    columns = (Column("p95", "p95, ms", "{:,.2f}"), Column("p99", "p99, ms", "{:,.2f}"))

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        site = lab.site(peer, vendor)
        site.empty()
        with site.worker() as worker:
            for _ in range(WARM_UP):
                self._one(site, worker)
            time.sleep(SETTLED)
            before = lab.read(site, worker)
            running, all_of_them = self._latencies(lab, site, worker, lab.options.samples)
            span = lab.span(before, lab.read(site, worker))
        return Sample(
            peer.name,
            figure=median(all_of_them),
            effective=median(running),
            jobs=len(all_of_them),
            seconds=span.seconds,
            frozen=span.frozen,
            cpu=span.cpu_per_thousand(len(all_of_them)),
            details={
                "p95": percentile(running, 95),
                "p99": percentile(running, 99),
                "frozen_samples": len(all_of_them) - len(running),
                "samples": running,
            },
        )

    def _latencies(
        self, lab: Laboratory, site: Site, worker: ProcessGroup, count: int
    ) -> tuple[list[float], list[float]]:
        """Return milliseconds: so many in which the machine did not stand still, and all.

        A peer that polls every second or so is done after a minute: more would tell nothing more about it.
        """
        running: list[float] = []
        all_of_them: list[float] = []
        longest_pause = LONGEST_PAUSE
        deadline = time.monotonic() + LONGEST
        while len(running) < (count if time.monotonic() < deadline else min(count, ENOUGH)):
            time.sleep(random.uniform(SHORTEST_PAUSE, longest_pause))
            enqueued, ran = self._one(site, worker)
            all_of_them.append((ran - enqueued) / SECOND * 1_000)
            longest_pause = POLLERS_PAUSE if median(all_of_them) > SLOW else LONGEST_PAUSE
            if not lab.freezes.frozen(enqueued, ran):
                running.append(all_of_them[-1])
            if len(all_of_them) > MOST_FROZEN * count:
                raise BenchmarkError(f"The machine stood still during {len(all_of_them) - len(running)} latencies.")
        return running, all_of_them

    def _one(self, site: Site, worker: ProcessGroup) -> tuple[int, int]:
        """Return when a job was enqueued and when it ran, in nanoseconds."""
        before = marks.count(site.marks)
        enqueued = site.driver.ask("enqueue_one")["ended"]
        site.wait_for_marks(before + 1, worker)
        return enqueued, marks.read_from(site.marks, before)[0]
