from .. import marks
from ..laboratory import Laboratory
from ..peers import Peer
from ..samples import Sample, Span
from ..site import Site
from .base import Column, Scenario

__all__ = ["Mixed"]

LONG, SHORT_JOBS = 10.0, 50


class Mixed(Scenario):
    name = "mixed"
    title = "A 10-second job enqueued before 50 no-ops, two processes: until the 50 are done"
    unit = "s"
    higher_is_better = False
    columns = (
        Column("waiting", "worker was waiting, s", "{:.3f}"),
        Column("starting", "all enqueued before it started, from the first run, s", "{:.3f}"),
    )

    def can_measure(self, peer: Peer) -> bool:
        return peer.has_sleep

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        site = lab.site(peer, vendor)
        spans = [self._waiting(lab, site), self._starting(lab, site)]
        site.empty()
        worst = max(spans, key=lambda span: span.effective)
        return Sample(
            peer.name,
            figure=worst.seconds,
            effective=worst.effective,
            jobs=SHORT_JOBS,
            seconds=worst.seconds,
            frozen=worst.frozen,
            details={"waiting": spans[0].effective, "starting": spans[1].effective},
        )

    def _waiting(self, lab: Laboratory, site: Site) -> Span:
        site.empty()
        with site.worker() as worker:
            site.enqueue(1)
            site.wait_for_marks(1, worker)
            before = lab.read(site, worker)
            began = self._enqueue(site)
            site.wait_for_marks(1 + SHORT_JOBS, worker)
            return lab.span(before, lab.read(site, worker), began, max(marks.read(site.marks)))

    def _starting(self, lab: Laboratory, site: Site) -> Span:
        site.empty()
        self._enqueue(site)
        with site.worker() as worker:
            return lab.drained(site, worker, SHORT_JOBS, until_stored=False)

    def _enqueue(self, site: Site) -> int:
        """Return when the long job was there, in nanoseconds."""
        began: int = site.driver.ask("enqueue_sleep", LONG)["ended"]
        site.driver.ask("enqueue", SHORT_JOBS)
        return began
