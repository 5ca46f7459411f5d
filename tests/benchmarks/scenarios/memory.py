import time

from ..laboratory import Laboratory
from ..peers import Peer
from ..processes import pss_of_trees
from ..samples import Sample
from .base import Column
from .drain import Draining

__all__ = ["Memory"]

MEBIBYTE = 1_048_576
# Seconds after which a worker is taken to have started, and to rest.
SETTLED = 3
WARM_UP = 20


class Memory(Draining):
    name = "memory"
    title = "Memory of the worker's processes (PSS) before and after jobs"
    unit = "MiB idle"
    higher_is_better = False
    is_timed = False
    columns = (Column("after", "MiB after the jobs"), Column("jobs", "jobs", "{:,.0f}"))

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        # A slow peer runs as many as it can in half a minute.
        jobs = lab.options.jobs or min(lab.options.memory_jobs, 6 * jobs)
        site = lab.site(peer, vendor)
        site.empty()
        with site.worker() as worker:
            # Some have all their processes only when there is work.
            site.enqueue(WARM_UP)
            site.wait_for_marks(WARM_UP, worker)
            time.sleep(SETTLED)
            idle = pss_of_trees(worker.pids) / MEBIBYTE
            site.enqueue(jobs)
            site.wait_for_marks(WARM_UP + jobs, worker)
            time.sleep(SETTLED)
            after = pss_of_trees(worker.pids) / MEBIBYTE
        return Sample(peer.name, figure=idle, effective=idle, jobs=jobs, details={"after": after, "jobs": jobs})
