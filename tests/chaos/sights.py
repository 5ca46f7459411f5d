"""What the monitor has seen, and the moments in which it saw nothing: see monitor.py."""

import json
from pathlib import Path

from .excuses import EVERYBODY, Excuses
from .liveness import Beat, Memory, Seen

__all__ = ["read_locks", "read_monitor"]

# Seconds from which on a look is late or slow, and in which workers come back when the database does.
LATE, BACK = 0.5, 3.0


def read_monitor(path: Path, seen: Seen, excuses: Excuses) -> dict[str, float]:
    """Add what it saw, and the moments in which it saw nothing; return its own figures."""
    latest, slowest, last_good = 0.0, 0.0, 0.0
    for line in map(json.loads, path.read_text().splitlines()):
        at, took = line["at"], line["took"]
        for why, since, seconds in (
            ("the machine stood still", at - took - line["late"], line["late"]),
            ("the database was slow", at - took, took),
        ):
            if seconds > LATE:
                excuses.note(EVERYBODY, why, seconds, since=since)
        latest, slowest = max(latest, line["late"]), max(slowest, took)
        if "error" in line:
            excuses.note(EVERYBODY, "the database was away", at - (last_good or at) + BACK, since=last_good or at)
            continue
        last_good = at
        seen.beats += [
            Beat(worker=worker, at=at, age=age, running=running, finished=finished)
            for worker, age, running, finished in line["workers"]
        ]
        seen.memories += [
            Memory(worker=worker, pid=pid, at=at, size=size, children=children)
            for worker, pid, size, children in line.get("memory", [])
        ]
    return {"latest look of the monitor, s": round(latest, 2), "its slowest query, s": round(slowest, 2)}


def read_locks(path: Path, excuses: Excuses) -> None:
    """Excuse everybody while the whole database was locked, as the enqueues of probes tell."""
    for line in map(json.loads, path.read_text().splitlines()):
        if (seconds := line.get("locked", 0.0)) > LATE:
            excuses.note(EVERYBODY, "the database was locked", seconds, since=line["at"] - seconds)
