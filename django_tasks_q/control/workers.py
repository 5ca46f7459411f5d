from ..brokers import get_broker
from ..exceptions import WorkerNotFound
from ..lifecycle import ALIVE, WorkerRequest
from ..models import Worker

__all__ = ["drain", "stop"]

# Workers that a message names.
MOST_NAMED = 10


def drain(worker_id: str, *, backend: str = "default") -> bool:
    """Ask a worker to exit when its running jobs have finished; return whether that is a new request.

    It reads the request with its next heartbeat, and then takes no more jobs. There is no time limit for running ones.
    Raise WorkerNotFound if no worker with this id is running.
    """
    return _ask(worker_id, WorkerRequest.DRAIN, backend)


def stop(worker_id: str, *, backend: str = "default") -> bool:
    """Ask a worker to exit now; return whether that is a new request.

    Its running jobs go back to their queues, and no attempt is charged. It reads the request with its next heartbeat.
    Raise WorkerNotFound if no worker with this id is running.
    """
    return _ask(worker_id, WorkerRequest.STOP, backend)


def _ask(worker_id: str, request: WorkerRequest, backend: str) -> bool:
    running = Worker.objects.using(get_broker(backend).using).filter(backend=backend, status__in=ALIVE)
    rows = running.filter(id=worker_id)
    # A worker that was asked to stop is not asked to drain again.
    weaker = [None, WorkerRequest.DRAIN] if request == WorkerRequest.STOP else [None]
    if any(rows.filter(request=given).update(request=request) for given in weaker):
        return True
    if not rows.exists():
        ids = ", ".join(running.order_by("id").values_list("id", flat=True)[:MOST_NAMED]) or "none"
        raise WorkerNotFound(
            f'No worker with the id "{worker_id}" of the backend "{backend}" is running. Those that run: {ids}.'
        )
    return False
