"""The verbs of `manage.py tasks`, one class each."""

from .acting import Cancel, Retry
from .base import Answer, Verb
from .listing import List
from .moving import Enqueue, Move, RunNow
from .pruning import Prune
from .queues import Pause, Resume
from .schedules import Schedules
from .showing import Show
from .stats import Stats
from .workers import Health, Workers

__all__ = ["VERBS", "Answer", "Verb"]

VERBS: tuple[type[Verb], ...] = (
    Stats, List, Show, Retry, Cancel, RunNow, Move, Enqueue, Pause, Resume, Prune, Schedules, Workers, Health,
)  # fmt: skip
