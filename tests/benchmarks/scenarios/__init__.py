"""What is measured, by name, in the order in which it is told."""

from .base import Scenario
from .beside import Backlog, History, OtherQueue, Scheduled
from .cost import Cost
from .drain import Drain, Drain10kB, Drain100kB, DrainMySQL, DrainSlowDisk, DrainSQLite
from .enqueue import Enqueue, EnqueueBulk
from .latency import Latency
from .memory import Memory
from .mixed import Mixed
from .snapshot import Snapshot

__all__ = ["SCENARIOS", "Scenario"]

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Enqueue(), EnqueueBulk(), Drain(), Drain10kB(), Drain100kB(), DrainSlowDisk(), Latency(), Backlog(), History(),
        OtherQueue(), Scheduled(), Snapshot(), Cost(), Memory(), Mixed(), DrainMySQL(), DrainSQLite(),
    )
}  # fmt: skip
