"""Problems in plain text, each with a remedy; the worst first. One file for each thing that a problem may be about."""

from .base import Severity, Situation, Subject, Trouble
from .database import pinned_snapshot
from .history import failures, unpruned
from .late import late_jobs, late_schedules
from .queues import backlogs, paused_queues, unheard_queues
from .workers import lost_workers, no_worker, stale_workers, unrecorded

__all__ = ["Severity", "Situation", "Subject", "Trouble", "troubles"]

# Each yields the problems of its kind. Among equally severe ones, these come first.
LOOKS = (
    no_worker, unheard_queues, stale_workers, unrecorded, late_jobs, late_schedules, failures, backlogs,
    paused_queues, lost_workers, pinned_snapshot, unpruned,
)  # fmt: skip


def troubles(situation: Situation) -> list[Trouble]:
    """Return the current problems of a backend, the worst first."""
    found = [trouble for look in LOOKS for trouble in look(situation)]
    return sorted(found, key=lambda trouble: list(Severity).index(trouble.severity))
