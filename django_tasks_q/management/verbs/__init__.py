"""The verbs of `manage.py tasks`, one class each."""

from .acting import Cancel, Retry
from .base import Answer, Verb
from .listing import List
from .pruning import Prune
from .queues import Pause, Resume
from .showing import Show
from .stats import Stats
from .workers import Health, Workers

__all__ = ["VERBS", "Answer", "Verb"]

VERBS: tuple[type[Verb], ...] = (Stats, List, Show, Retry, Cancel, Pause, Resume, Prune, Workers, Health)
