from ..brokers import get_broker
from ..exceptions import WorkerNotFound
from ..lifecycle import WorkerRequest, WorkerStatus
from ..models import Worker

__all__ = ["drain", "stop"]

ALIVE = (WorkerStatus.ONLINE, WorkerStatus.DRAINING)


def drain(worker_id: str, *, backend: str = "default") -> bool:
    """Have a worker take no more jobs and end when those that run have; say whether it had not been asked before.

    It learns of it with its next heartbeat. Its jobs may run for as long as they like. Raise WorkerNotFound where no
    worker with this id runs.
    """
    return _ask(worker_id, WorkerRequest.DRAIN, backend)


def stop(worker_id: str, *, backend: str = "default") -> bool:
    """Have a worker end now; say whether it had not been asked before.

    What it runs goes back to the queue, without being charged an attempt. It learns of it with its next heartbeat.
    Raise WorkerNotFound where no worker with this id runs.
    """
    return _ask(worker_id, WorkerRequest.STOP, backend)


def _ask(worker_id: str, request: WorkerRequest, backend: str) -> bool:
    rows = Worker.objects.using(get_broker(backend).using).filter(backend=backend, id=worker_id, status__in=ALIVE)
    # Who is to stop is not made to drain again.
    weaker = [None, WorkerRequest.DRAIN] if request == WorkerRequest.STOP else [None]
    if any(rows.filter(request=given).update(request=request) for given in weaker):
        return True
    if not rows.exists():
        raise WorkerNotFound(f'No worker "{worker_id}" of the backend "{backend}" runs.')
    return False
