"""Which jobs have begun, as far as the database is to know: a start is recorded only if the run takes a while."""

import math
import time
from collections.abc import Iterable, Iterator, Set

from ...brokers.values import ClaimedJob
from .children import Assigned, Child

__all__ = ["begun_due_at", "newly_begun", "note_begun"]

# The most seconds between two looks at a job that is not known to have begun.
LONGEST_LOOK = 1.0


def newly_begun(children: Iterable[Child]) -> list[ClaimedJob]:
    """Return the jobs that have run for a while without a recorded start."""
    now = time.monotonic()
    found = []
    for child, running in _unnoted(children):
        seconds = child.busy_for(now)
        if seconds > running.look_after:
            # Less and less often: it may be about to begin for long, or its row may be locked.
            running.look_after = seconds + min(seconds, LONGEST_LOOK)
            found += [running.job] if child.begun.number == running.seq else []
    return found


def begun_due_at(children: Iterable[Child]) -> float:
    """Return when newly_begun() may find more, in monotonic seconds; infinity if nothing runs."""
    return min((child.began_at + running.look_after for child, running in _unnoted(children)), default=math.inf)


def note_begun(children: Iterable[Child], job_ids: Set[str]) -> None:
    """Take note that the start of these jobs is recorded; a child that waits for that begins."""
    for child in children:
        running = child.running
        if running is not None and running.job.id in job_ids and not running.is_noted:
            running.is_noted = True
            if running.has_asked:
                child.tokens.put([running.seq])


def _unnoted(children: Iterable[Child]) -> Iterator[tuple[Child, Assigned]]:
    for child in children:
        running = child.running
        if running is not None and not (running.is_noted or running.is_news or running.job.displaced):
            yield child, running
