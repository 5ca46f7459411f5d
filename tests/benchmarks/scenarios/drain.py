from .. import marks
from ..laboratory import Laboratory
from ..peers import Peer
from ..samples import Sample
from .base import Scenario

__all__ = ["Drain", "DrainMySQL", "DrainSQLite", "Draining"]


class Draining(Scenario):
    """Of which a drain tells how many jobs are enough."""

    sizing = "drain"

    def try_out(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        site = lab.site(peer, vendor)
        site.empty()
        site.enqueue(jobs)
        with site.worker() as worker:
            span = lab.drained(site, worker, jobs, until_stored=True)
        more = marks.count(site.marks) - jobs
        return Sample.rate(peer.name, jobs, span, **({"ran_again": more} if more else {}))


class Drain(Draining):
    name = "drain"
    title = "Drain of no-op jobs that were enqueued before, until all results are stored"
    floors = ("claim_and_finish_500",)

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        return self.try_out(lab, peer, vendor, jobs)


class DrainMySQL(Drain):
    name = "drain_mysql"
    title = "The same drain on MySQL or MariaDB"
    vendor = "mysql"


class DrainSQLite(Drain):
    name = "drain_sqlite"
    title = "The same drain on SQLite"
    vendor = "sqlite"
