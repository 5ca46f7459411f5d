"""What a broker must do, in plain Python: the same verbs over a dictionary."""

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import attrgetter

from django_tasks_q.brokers.values import JobSpec, Outcome
from django_tasks_q.lifecycle import FINAL_STATUSES

__all__ = ["CANCELLABLE", "LOST", "Books", "Entry"]

CANCELLABLE = {"WAITING", "SCHEDULED", "READY"}
LOST = "lost"
_moment = attrgetter("moment")


@dataclass(frozen=True)
class Entry:
    """A job, in whichever table it is: its status says which."""

    id: str
    queue: str
    priority: int
    status: str
    worker: str | None = None
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    errors: int = 0
    reason: str = ""
    return_value: str | None = None
    # While it runs: why it is to be cancelled.
    mark: str | None = None
    # Whether it is known to have begun.
    begun: bool = field(default=False, compare=False)
    # When it is due, or has finished, where somebody asks.
    moment: datetime | None = field(default=None, compare=False)

    @property
    def is_final(self) -> bool:
        return self.status in FINAL_STATUSES

    def is_held_by(self, worker: str) -> bool:
        return self.status == "RUNNING" and self.worker == worker


class Books:
    """Jobs by their ids; None is for those that were deleted.

    locked: the ids of what another session has changed and not committed.
    """

    def __init__(
        self,
        entries: MutableMapping[str, Entry | None],
        paused: AbstractSet[str],
        locked: AbstractSet[str],
        *,
        max_losses: int,
        max_errors: int,
    ) -> None:
        self.entries = entries
        self.paused = paused
        self.locked = locked
        self.max_losses = max_losses
        self.max_errors = max_errors

    def all(self, matches: Callable[[Entry], bool] = lambda entry: True) -> list[Entry]:
        return [entry for entry in self.entries.values() if entry is not None and matches(entry)]

    def free(self, matches: Callable[[Entry], bool]) -> list[Entry]:
        return [entry for entry in self.all(matches) if entry.id not in self.locked]

    def change(self, entry: Entry, **changes: object) -> Entry:
        self.entries[entry.id] = changed = replace(entry, **changes)
        return changed

    # the verbs

    def enqueue(self, specs: Iterable[JobSpec]) -> None:
        for spec in specs:
            self.entries[spec.id] = Entry(
                spec.id, spec.queue_name, spec.priority, str(spec.status), moment=spec.run_after
            )

    def promote(self, now: datetime, limit: int) -> int:
        due = self.free(lambda entry: entry.status == "SCHEDULED" and entry.moment <= now)
        first = sorted(due, key=_moment)[:limit]
        for entry in first:
            self.change(entry, status="READY", reason="")
        return len(first)

    def claim(self, worker: str, queue: str, limit: int) -> list[Entry]:
        if queue in self.paused:
            return []
        ready = self.free(lambda entry: entry.status == "READY" and entry.queue == queue)
        first = sorted(ready, key=lambda entry: (-entry.priority, entry.id))[:limit]
        return [
            self.change(entry, status="RUNNING", worker=worker, attempt=entry.attempt + 1, reason="", begun=False)
            for entry in first
        ]

    def finish(self, worker: str, outcomes: Sequence[Outcome]) -> tuple[set[str], set[str]]:
        finished, retried = set(), set()
        # Of several outcomes of one job the last counts.
        for outcome in {outcome.id: outcome for outcome in outcomes}.values():
            entry = self.entries.get(outcome.id)
            if entry is None or not entry.is_held_by(worker) or entry.attempt != outcome.attempt:
                continue
            self._end(entry, outcome)
            (finished if self.entries[entry.id].is_final else retried).add(entry.id)
        return finished, retried

    def _end(self, entry: Entry, outcome: Outcome) -> None:
        stopped = entry.mark is not None and outcome.status != "SUCCESSFUL"
        self.change(
            entry,
            status="CANCELLED" if stopped else str(outcome.status),
            worker=entry.worker if outcome.is_final or (stopped and outcome.charged) else None,
            attempt=entry.attempt - (not outcome.charged),
            failures=entry.failures + outcome.failed,
            losses=entry.losses + outcome.lost,
            errors=min(entry.errors + (outcome.error is not None), self.max_errors),
            reason=entry.mark if stopped else outcome.reason,
            return_value=outcome.return_value,
            mark=None,
            moment=outcome.finished_at + timedelta(seconds=0 if stopped else outcome.retry_in),
        )

    def cancel(self, ids: Iterable[str], reason: str, *, running: bool) -> tuple[set[str], set[str]]:
        """Return who is CANCELLED now, and who is asked to stop."""
        chosen = list(ids)
        asked = self._each(
            chosen,
            lambda entry: running and entry.status == "RUNNING",
            lambda entry: self.change(entry, mark=entry.mark or reason),
        )
        done = self._each(
            chosen,
            lambda entry: entry.status in CANCELLABLE,
            lambda entry: self.change(entry, status="CANCELLED", reason=reason, moment=None),
        )
        return done, asked

    def run_now(self, ids: Iterable[str]) -> set[str]:
        return self._each(
            ids,
            lambda entry: entry.status == "SCHEDULED",
            lambda entry: self.change(entry, status="READY", reason=""),
        )

    def move(self, ids: Iterable[str], queue: str, priority: int) -> set[str]:
        return self._each(
            ids,
            lambda entry: entry.status in CANCELLABLE,
            lambda entry: self.change(entry, queue=queue, priority=priority),
        )

    def requeue(self, ids: Iterable[str]) -> set[str]:
        again = {"status": "READY", "worker": None, "failures": 0, "losses": 0, "reason": "", "return_value": None}
        return self._each(ids, lambda entry: entry.is_final, lambda entry: self.change(entry, **again))

    def delete(self, ids: Iterable[str]) -> set[str]:
        return self._each(ids, lambda entry: entry.is_final, self._forget)

    def _each(
        self, ids: Iterable[str], applies: Callable[[Entry], bool], change: Callable[[Entry], object]
    ) -> set[str]:
        chosen = [entry for entry in map(self.entries.get, set(ids)) if entry is not None and applies(entry)]
        for entry in chosen:
            change(entry)
        return {entry.id for entry in chosen}

    def _forget(self, entry: Entry) -> None:
        self.entries[entry.id] = None

    def prune(self, statuses: Iterable[str], before: datetime, limit: int) -> int:
        deleted = 0
        for status in statuses:
            of_status = self.all(lambda entry, status=status: entry.status == status)
            old = [entry for entry in of_status if entry.moment is not None and entry.moment < before]
            for entry in sorted(old, key=_moment)[: limit - deleted]:
                self._forget(entry)
                deleted += 1
        return deleted

    # what workers do to each other

    def record_begun(self, worker: str, job_ids: Iterable[str]) -> set[str]:
        held = [entry for entry in map(self.entries.get, job_ids) if entry is not None and entry.is_held_by(worker)]
        for entry in held:
            self.change(entry, begun=True)
        return {entry.id for entry in held}

    def rescue(self, dead: AbstractSet[str]) -> set[str]:
        """Count the loss of each run of these workers that had begun; return the ids of all their jobs."""
        held = self.all(lambda entry: entry.status == "RUNNING" and entry.worker in dead)
        for entry in held:
            if not entry.begun:
                self._give_back(entry, entry.mark or LOST)
                continue
            last = "FAILED" if entry.losses + 1 >= self.max_losses else "READY"
            status = last if entry.mark is None else "CANCELLED"
            self.change(
                entry,
                status=status,
                worker=None if status == "READY" else entry.worker,
                losses=entry.losses + 1,
                errors=min(entry.errors + 1, self.max_errors),
                reason=entry.mark or LOST,
                mark=None,
                moment=None,
            )
        return {entry.id for entry in held}

    def _give_back(self, entry: Entry, reason: str) -> None:
        """Let a job be as if it had not been claimed."""
        self.change(
            entry,
            status="READY" if entry.mark is None else "CANCELLED",
            worker=None,
            attempt=entry.attempt - 1,
            reason=reason,
            mark=None,
            # It is asked for where the job has finished; that was now.
            moment=None,
        )
