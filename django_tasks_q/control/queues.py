from django.utils import timezone

from ..brokers import get_broker
from ..compat import task_backends
from ..models import Job, Queue
from ..notifiers import notify
from ..task_options import LONGEST_QUEUE_NAME

__all__ = ["check_known", "check_name", "find_refusal", "pause", "resume"]


def pause(name: str, *, backend: str = "default") -> bool:
    """Keep all workers from taking jobs from a queue until it is resumed; return whether it was not paused before.

    Running jobs continue. Raise ValueError as check_known() does.
    """
    check_known(name, backend=backend)
    if _switch(name, backend, paused=True):
        return True
    queues = Queue.objects.using(get_broker(backend).using)
    _, created = queues.get_or_create(backend=backend, name=name, defaults={"paused": True})
    return created


def resume(name: str, *, backend: str = "default") -> bool:
    """Let workers take jobs from a queue again, and wake them; return whether it was paused.

    Raise ValueError as check_known() does.
    """
    check_known(name, backend=backend)
    resumed = _switch(name, backend, paused=False)
    if resumed:
        broker = get_broker(backend)
        notify(backend, broker.using, {name: broker.ready_left(name)})
    return resumed


def check_known(name: str, *, backend: str = "default") -> None:
    """Raise ValueError for a queue that cannot exist: not in QUEUES, without a job, and never paused."""
    refusal = find_refusal(name, backend=backend)
    if refusal and not (_is_storable(name) and _is_left_over(name, backend)):
        raise ValueError(refusal)


def check_name(name: str, *, backend: str = "default") -> None:
    """Raise ValueError for a queue to which no job can go."""
    if refusal := find_refusal(name, backend=backend):
        raise ValueError(refusal)


def find_refusal(name: str, *, backend: str = "default") -> str | None:
    """Return why no job can go to a queue of this name; None if one can."""
    if not _is_storable(name):
        return f"The queue name {name!r} must have 1 to {LONGEST_QUEUE_NAME} characters and no NUL."
    refusal: str | None = task_backends[backend].refusal_of_queue(name)
    return refusal


def _switch(name: str, backend: str, *, paused: bool) -> bool:
    queues = Queue.objects.using(get_broker(backend).using).filter(backend=backend, name=name, paused=not paused)
    return queues.update(paused=paused, changed_at=timezone.now()) > 0


def _is_storable(name: str) -> bool:
    return 1 <= len(name) <= LONGEST_QUEUE_NAME and "\0" not in name


def _is_left_over(name: str, backend: str) -> bool:
    """Return whether QUEUES had the name once: there is a job or a setting of it."""
    using = get_broker(backend).using
    kinds: list[tuple[type[Queue] | type[Job], str]] = [(Queue, "name"), (Job, "queue_name")]
    return any(kind.objects.using(using).filter(backend=backend, **{column: name}).exists() for kind, column in kinds)
