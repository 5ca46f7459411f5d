from random import Random
from typing import ClassVar

from .. import marks
from ..laboratory import Laboratory
from ..peers import Peer
from ..samples import Sample
from ..site import Site
from .base import Scenario

__all__ = ["Drain", "Drain10kB", "Drain100kB", "DrainMySQL", "DrainSQLite", "DrainSlowDisk", "Draining"]

# What PostgreSQL waits before it writes a commit to the disk, in microseconds.
COMMIT_DELAY = 2_500


class Draining(Scenario):
    """Of which a drain tells how many jobs are enough."""

    sizing = "drain"

    def try_out(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        site = self.site(lab, peer, vendor)
        site.empty()
        self.enqueue(site, jobs)
        with site.worker() as worker:
            span = lab.drained(site, worker, jobs, until_stored=True)
        more = marks.count(site.marks) - jobs
        return Sample.rate(peer.name, jobs, span, **({"ran_again": more} if more else {}))

    def enqueue(self, site: Site, jobs: int) -> None:
        """Enqueue what is drained."""
        site.enqueue(jobs)

    def site(self, lab: Laboratory, peer: Peer, vendor: str) -> Site:
        return lab.site(peer, vendor)


class Drain(Draining):
    name = "drain"
    title = "Drain of no-op jobs that were enqueued before, until all results are stored"
    floors: ClassVar[tuple[str, ...]] = ("claim_and_finish_500",)

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        return self.try_out(lab, peer, vendor, jobs)


class DrainText(Drain):
    """size: bytes of the argument of each job, which cannot be compressed much."""

    size: ClassVar[int]
    floors = ()

    def enqueue(self, site: Site, jobs: int) -> None:
        site.driver.ask("enqueue_text", jobs, Random(self.size).randbytes(self.size // 2).hex())


class Drain10kB(DrainText):
    name = "drain_10kb"
    title = "The same drain of jobs with an argument of 10 kB"
    sizing = "drain_10kb"
    size = 10_000


class Drain100kB(DrainText):
    name = "drain_100kb"
    title = "The same drain of jobs with an argument of 100 kB"
    sizing = "drain_100kb"
    size = 100_000


class DrainMySQL(Drain):
    name = "drain_mysql"
    title = "The same drain on MySQL or MariaDB"
    vendor = "mysql"


class DrainSQLite(Drain):
    name = "drain_sqlite"
    title = "The same drain on SQLite"
    vendor = "sqlite"


class DrainSlowDisk(Drain):
    """As on a network's disk, or on one without a battery behind its cache: that of this machine may be none."""

    name = "drain_slow_disk"
    title = f"The same drain where the disk takes {COMMIT_DELAY / 1_000:g} ms for a commit"
    sizing = "drain_slow_disk"
    vendor = "postgresql"
    floors = ()

    def can_measure(self, peer: Peer) -> bool:
        return peer.keeps in {"PostgreSQL", "the database"}

    def site(self, lab: Laboratory, peer: Peer, vendor: str) -> Site:
        site = lab.site(peer, vendor, "slow")
        # Commits that come at the same time share the wait, as they share the disk's.
        site.configure(commit_delay=COMMIT_DELAY, commit_siblings=0)
        return site
