"""Drains beside a million rows, each compared with the drain beside none in the same round."""

from typing import ClassVar

from ..laboratory import Laboratory
from ..peers import Peer
from ..samples import Sample, Span
from ..site import Site
from .base import Column
from .drain import Draining

__all__ = ["Backlog", "History", "OtherQueue", "Scheduled"]

# The queue of every noop().
QUEUE = "default"


class Beside(Draining):
    is_about_us = True
    columns = (
        Column("empty", "beside no rows, jobs/s"),
        Column("share", "share of that", "{:.1%}"),
        Column("cpu_share", "CPU, times that", "{:.2f}"),
    )
    # See Peer.fill().
    fill: ClassVar[str]

    def __init__(self) -> None:
        self._is_filled_first = False

    def can_measure(self, peer: Peer) -> bool:
        return self.fill in peer.fills

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        # Once this way and once that, so that none gains by being second.
        self._is_filled_first = not self._is_filled_first
        if self._is_filled_first:
            span, without = self._beside(lab, peer, vendor, jobs), self._empty(lab, peer, vendor, jobs)
        else:
            without, span = self._empty(lab, peer, vendor, jobs), self._beside(lab, peer, vendor, jobs)
        rate, cpu = jobs / without.effective, sum(without.cpu.values())
        share, more = jobs / span.effective / rate, sum(span.cpu.values()) / max(cpu, 1e-9)
        return Sample.rate(peer.name, jobs, span, empty=rate, share=share, cpu_share=more)

    def _empty(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Span:
        site = lab.site(peer, vendor)
        site.empty()
        return self._drain(lab, site, jobs)

    def _beside(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Span:
        site = lab.site(peer, vendor, self.fill)
        site.fill(self.fill, lab.options.rows)
        site.marks.unlink(missing_ok=True)
        return self._drain(lab, site, jobs)

    def _drain(self, lab: Laboratory, site: Site, jobs: int) -> Span:
        """Until so many have run: where more are waiting, nobody knows whose results are stored."""
        site.enqueue(jobs)
        with site.worker(*self.arguments(site.peer)) as worker:
            return lab.drained(site, worker, jobs, until_stored=False)

    def arguments(self, peer: Peer) -> list[str]:
        """Return what the worker is told besides."""
        return []


class Backlog(Beside):
    name = "backlog"
    title = "Drain while a million further jobs are waiting"
    fill = "ready"


class History(Beside):
    name = "history"
    title = "Drain with a million results in the history"
    fill = "results"


class OtherQueue(Beside):
    name = "other_queue"
    title = "Drain of one queue behind a million jobs of another one, which this worker does not run"
    fill = "other_queue"

    def arguments(self, peer: Peer) -> list[str]:
        return peer.queue_arguments(QUEUE)


class Scheduled(Beside):
    name = "scheduled"
    title = "Drain with a million jobs scheduled for next month"
    fill = "scheduled"
