from typing import ClassVar

from ..laboratory import Laboratory
from ..peers import Peer
from ..samples import Sample
from .base import Scenario

__all__ = ["Enqueue", "EnqueueBulk"]


class Enqueueing(Scenario):
    # Of the driver.
    verb: ClassVar[str]

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        site = lab.site(peer, vendor)
        site.empty()
        before = lab.read(site)
        answer = site.driver.ask(self.verb, jobs)
        span = lab.span(before, lab.read(site), answer["began"], answer["ended"])
        site.empty()
        return Sample.rate(peer.name, jobs, span)


class Enqueue(Enqueueing):
    name = "enqueue"
    title = "Enqueue one by one, each in its own transaction, while no worker runs"
    floors = ("insert_django_cursor",)
    sizing = verb = "enqueue"


class EnqueueBulk(Enqueueing):
    name = "enqueue_bulk"
    title = "Enqueue many at once, while no worker runs"
    floors = ("unnest", "copy")
    sizing = verb = "enqueue_bulk"

    def can_measure(self, peer: Peer) -> bool:
        return peer.has_bulk
