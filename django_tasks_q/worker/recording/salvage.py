"""What happens to outcomes that could not be recorded together."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from django.db import Error

from ...brokers.base import Broker
from ...brokers.batches import LARGEST_BATCH, weight_of
from ...brokers.failures import Failure
from ...brokers.refusals import finish_one, refused
from ...brokers.values import ClaimedJob, Outcome, Recorded
from ...services.base import soonest

__all__ = ["Ended", "Salvage"]

Ended = tuple[ClaimedJob, Outcome]
# Seconds between two tries of locked outcomes, and of refused ones.
FIRST_WAIT, LONGEST_WAIT, WAIT_FOR_HELP = 0.1, 1.0, 30.0
# How many seconds parts are recorded in one turn.
TURN = 0.05
# How often a connection may break with a large outcome before that is presumed to be the cause.
MOST_BREAKS = 3


@dataclass(slots=True)
class Part:
    """Outcomes that are tried together. due_at: monotonic seconds. cause: why they could not be recorded, as text."""

    ended: list[Ended]
    due_at: float = 0.0
    tries: int = 0
    breaks: int = 0
    cause: str = ""
    since: float = field(default_factory=time.monotonic)

    def put_off(self, seconds: float) -> None:
        self.tries += 1
        self.due_at = time.monotonic() + seconds


class Salvage:
    """Tries outcomes again: in halves, then one by one, each part in its own transaction.

    So none blocks another one, and no batch is tried in the same way for ever. Outcomes of locked jobs are held back
    until the other session releases them. Jobs with a refused outcome end as FAILED, or are set aside with the reason.
    """

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.parts: deque[Part] = deque()

    def __len__(self) -> int:
        return sum([len(part.ended) for part in self.parts])

    def __iter__(self) -> Iterator[Ended]:
        return chain.from_iterable(part.ended for part in self.parts)

    def clear(self) -> None:
        self.parts.clear()

    def add(self, ended: Sequence[Ended], cause: str) -> None:
        """Take outcomes that could not be recorded together."""
        self.parts.extend(_halves(Part(list(ended), cause=cause)))

    def hold_back(self, ended: Iterable[Ended]) -> None:
        """Take outcomes of jobs that another session has locked, each separately."""
        for item in ended:
            part = Part([item], cause="another session has its row locked")
            part.put_off(FIRST_WAIT)
            self.parts.append(part)

    @property
    def due_at(self) -> float:
        """When something may be tried again, in monotonic seconds; infinity if there is nothing."""
        return soonest(self.parts) if self.parts else math.inf

    def trouble(self, *, after: float) -> str:
        """Return what has not been recorded for this many seconds, and why; an empty text if nothing."""
        oldest = min(self.parts, key=lambda part: part.since, default=None)
        if oldest is None or time.monotonic() - oldest.since < after:
            return ""
        seconds = time.monotonic() - oldest.since
        return f"{len(self)} finished jobs have not been recorded, the first for {seconds:.0f} s: {oldest.cause}"

    def run(self, worker_id: str) -> Iterator[tuple[Sequence[Ended], Recorded]]:
        """Try outcomes that are due, for a short time; yield those that the database has answered, and its answer."""
        until = time.monotonic() + TURN
        for _ in range(len(self.parts)):
            now = time.monotonic()
            if now > until:
                return
            part = self.parts.popleft()
            if part.due_at > now:
                self.parts.append(part)
                continue
            try:
                answered = self._try(worker_id, part)
            except Error:
                raise
            except BaseException:
                self.parts.append(part)
                raise
            if answered is not None:
                yield answered

    def _put_back(self, part: Part) -> None:
        """Retry a part that broke the connection later, after all others; in halves after the second time."""
        if part.breaks > 1 and len(part.ended) > 1:
            self.parts.extend(_halves(part))
        else:
            part.put_off(min(LONGEST_WAIT, FIRST_WAIT * 2.0**part.breaks))
            self.parts.append(part)

    def _try(self, worker_id: str, part: Part) -> tuple[Sequence[Ended], Recorded] | None:
        try:
            if len(part.ended) == 1:
                ended, recorded = self._finish_one(worker_id, part)
            else:
                ended, recorded = part.ended, self._finish(worker_id, part)
        except Error as error:
            self._note_failure(part, error)
            return None
        if recorded is None:
            return None
        locked = [item for item in ended if item[1].id in recorded.locked]
        if len(ended) == 1 and locked:
            part.cause = "another session has its row locked"
            part.put_off(_wait(part))
            self.parts.append(part)
        else:
            self.hold_back(locked)
        return [item for item in ended if item[1].id not in recorded.locked], recorded

    def _note_failure(self, part: Part, error: Error) -> None:
        """Try a part again later, in halves if it has several outcomes. Raise the error if the connection is gone."""
        failure = self.broker.dialect.failure(error)
        part.cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        if failure is Failure.GONE:
            part.breaks += 1
            self._put_back(part)
            raise error
        if len(part.ended) > 1:
            self.parts.extend(_halves(part))
        else:
            part.put_off(_wait(part) if failure is Failure.LOCKED else WAIT_FOR_HELP)
            self.parts.append(part)

    def _finish(self, worker_id: str, part: Part) -> Recorded:
        return self.broker.finish(worker_id, [outcome for _, outcome in part.ended], skip_locked=True)

    def _finish_one(self, worker_id: str, part: Part) -> tuple[list[Ended], Recorded | None]:
        job, outcome = part.ended[0]
        if part.breaks >= MOST_BREAKS and weight_of(outcome) > LARGEST_BATCH // 2:
            outcome = refused(outcome, part.cause)
        outcome, recorded = finish_one(self.broker, worker_id, outcome)
        return [(job, outcome)], recorded


def _wait(part: Part) -> float:
    return min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(part.tries, 10))


def _halves(part: Part) -> list[Part]:
    middle = (len(part.ended) + 1) // 2
    return [
        Part(ended, cause=part.cause, since=part.since)
        for ended in (part.ended[:middle], part.ended[middle:])
        if ended
    ]
