from django.utils import timezone

from ..brokers import get_broker
from ..models import Queue
from ..notifiers import notify

__all__ = ["check_name", "pause", "resume"]

LONGEST_NAME = 128


def pause(name: str, *, backend: str = "default") -> bool:
    """Let no worker take jobs from a queue until it is resumed; say whether it ran before.

    Running jobs go on. Raise ValueError for what cannot be the name of a queue.
    """
    check_name(name)
    if _switch(name, backend, paused=True):
        return True
    queues = Queue.objects.using(get_broker(backend).using)
    _, created = queues.get_or_create(backend=backend, name=name, defaults={"paused": True})
    return created


def resume(name: str, *, backend: str = "default") -> bool:
    """Let workers take jobs from a queue again, and wake them; say whether it was paused.

    Raise ValueError for what cannot be the name of a queue.
    """
    check_name(name)
    resumed = _switch(name, backend, paused=False)
    if resumed:
        notify(backend, get_broker(backend).using)
    return resumed


def _switch(name: str, backend: str, *, paused: bool) -> bool:
    queues = Queue.objects.using(get_broker(backend).using).filter(backend=backend, name=name, paused=not paused)
    return queues.update(paused=paused, changed_at=timezone.now()) > 0


def check_name(name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME or "\0" in name:
        raise ValueError(f"The queue name {name!r} must have 1 to {LONGEST_NAME} characters and no NUL.")
