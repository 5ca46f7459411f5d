from .enqueue import EnqueueVerbs
from .finish import FinishVerbs
from .queues import QueueVerbs

__all__ = ["Broker"]


class Broker(EnqueueVerbs, QueueVerbs, FinishVerbs):
    """The only code that changes jobs and results.

    A broker is bound to a backend (`alias`), its options, and the database alias (`using`) that holds the tables. Each
    verb is one transaction, or part of the caller's. Rows change hands only under a lock, and everything that a worker
    records carries its fence: the job must still be RUNNING under that worker and that attempt.
    """
