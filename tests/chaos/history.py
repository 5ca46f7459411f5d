"""What was meant, what was done, what is recorded: all that the checker looks at."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .excuses import Ended
from .kinds import follower

__all__ = [
    "COMMITTED",
    "ROLLED_BACK",
    "UNKNOWN",
    "Call",
    "Event",
    "History",
    "Record",
    "Run",
    "Swarm",
    "Tally",
    "read_calls",
]

# Seconds: a strike is noted when it begins, and what it does to a run may come at its end.
BEFORE = 15.0
# Seconds in which the children of a worker notice that it has ended.
AFTER = 10.0
COMMITTED, ROLLED_BACK, UNKNOWN = "committed", "rolled back", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A job as its producer meant it. fate: what became of its transaction, as far as the producer knows."""

    key: str
    task: str
    fate: str
    batch: str = ""
    at: float = 0.0
    # Whether the batch leaves a mark in the transaction of its jobs, and whether that is there.
    marked: bool = False
    has_mark: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An effect: one run of a job has got so far. worker: as it was named when it was started."""

    key: str
    job_id: str
    attempt: int
    run: str
    worker: str = ""
    pid: int = 0
    # On the database's clock.
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A row of jobs (then it is live) or of results."""

    key: str
    job_id: str
    task: str
    status: str
    live: bool = False
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    worker: str = ""
    # What the task has returned: the run that left the effect.
    run: str = ""
    # The exception of the last error.
    error: str = ""
    # Whether a text that it has returned is another one than was made.
    is_damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Swarm:
    """Jobs of one task that were made together, in a transaction that leaves a mark of this name.

    rest: the status that they have in the end: READY where nobody is to run them.
    """

    name: str
    task: str
    count: int
    rest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """So many rows of a swarm are alike. adds_up: whether each attempt has ended in one way."""

    name: str
    status: str
    live: bool
    adds_up: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that was done to the system, or has happened to it. at: this host's clock, seconds."""

    at: float
    kind: str
    what: str = ""


@dataclass(slots=True, kw_only=True)
class History:
    """uncounted: the moments at which a run may have lost its place in the count of its job: see Fault.

    ended: the workers and children that have died with what they ran: where nobody knows that a run had begun, it is
    charged to nobody. cancelled: the keys of jobs that somebody may have cancelled.
    """

    calls: dict[str, Call] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    uncounted: list[float] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    swarms: list[Swarm] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)

    def forgiven(self, runs: Sequence[Run]) -> int:
        """Return how many of these runs of one job may be missing from its count."""
        if not runs:
            return 0
        first, last = min(run.at for run in runs), max(run.at for run in runs)
        struck = sum(first - BEFORE <= moment <= last for moment in self.uncounted)
        return struck + sum(self._has_died(run) for run in runs)

    def _has_died(self, run: Run) -> bool:
        """Return whether the process of a run may have ended before anybody knew that the run had begun."""
        return any(
            ended.worker == run.worker
            and ended.pid in {0, run.pid}
            and ended.at - BEFORE <= run.at <= ended.at + AFTER
            for ended in self.ended
        )

    def settled(self) -> dict[str, Call]:
        """Return the calls, with what the marks and the records tell of those whose fate is not known."""
        calls = {key: self._settle(call) for key, call in self.calls.items()}
        return calls | {call.key: call for call in self._followers(calls.values())}

    def _settle(self, call: Call) -> Call:
        if not call.marked:
            return call
        call = replace(call, has_mark=call.batch in self.marks)
        return replace(call, fate=COMMITTED if call.has_mark else ROLLED_BACK) if call.fate == UNKNOWN else call

    def _followers(self, calls: Iterable[Call]) -> Iterator[Call]:
        """Yield what the tasks have enqueued themselves, in the transaction of their own completion."""
        done = {record.key for record in self.records if record.status == "SUCCESSFUL"}
        for call in calls:
            if call.task == "chain":
                fate = COMMITTED if call.key in done else ROLLED_BACK
                yield replace(call, key=follower(call.key), task="ordinary", fate=fate)


def read_calls(journals: Sequence[Path]) -> dict[str, Call]:
    """Read what the producers wrote down. A batch without an outcome is one of which nobody knows."""
    calls: dict[str, Call] = {}
    for path in journals:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        outcomes = {line["batch"]: line for line in lines if "outcome" in line}
        for line in lines:
            if "calls" in line:
                outcome = outcomes.get(line["batch"], {})
                at = outcome.get("at", line["at"])
                calls |= {call.key: call for call in _calls({**line, "at": at}, outcome.get("outcome", UNKNOWN))}
    return calls


def _calls(line: dict[str, Any], fate: str) -> Iterator[Call]:
    for given in line["calls"]:
        # What was undone by a savepoint stays so, whatever became of the transaction around it.
        own = fate if given["kept"] else ROLLED_BACK
        yield Call(
            key=given["key"], task=given["task"], fate=own, batch=line["batch"], at=line["at"], marked=line["marked"]
        )
