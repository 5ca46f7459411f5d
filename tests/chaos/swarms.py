"""Jobs by the thousand: the history keeps only their numbers."""

from collections import Counter
from collections.abc import Iterator

from .history import History, Swarm, Tally

__all__ = ["check_swarms"]

Broken = tuple[str, str, str]


def check_swarms(history: History) -> Iterator[Broken]:
    """Yield which promise was broken, of which swarm, and how."""
    known = {swarm.name for swarm in history.swarms}
    for swarm in history.swarms:
        yield from _check(swarm, [tally for tally in history.tallies if tally.name == swarm.name], history.marks)
    for name in sorted({tally.name for tally in history.tallies} - known):
        yield "enqueued", name, "nobody has made this swarm"


def _check(swarm: Swarm, tallies: list[Tally], marks: set[str]) -> Iterator[Broken]:
    found, meant = sum(tally.count for tally in tallies), swarm.count if swarm.name in marks else 0
    if found < meant:
        yield "lost", swarm.name, f"of {meant} jobs {found} are there"
    elif found > meant:
        yield "recorded once" if meant else "rolled back", swarm.name, f"there are {found} rows of {meant} jobs"
    yield from _check_ends(swarm, tallies)


def _check_ends(swarm: Swarm, tallies: list[Tally]) -> Iterator[Broken]:
    ends: Counter[str] = Counter()
    for tally in tallies:
        ends[tally.status + (" (live)" if tally.live else "")] += tally.count
    wanted = f"{swarm.rest} (live)" if swarm.rest == "READY" else swarm.rest
    if others := {status: count for status, count in ends.items() if status != wanted}:
        kind = "unfinished" if any("live" in status for status in others) else "ended as meant"
        yield kind, swarm.name, f"they were to be {wanted}, and {others} are not"
    if crooked := sum(tally.count for tally in tallies if not tally.adds_up and not tally.live):
        yield "counted", swarm.name, f"the attempts of {crooked} jobs are not their ends"
