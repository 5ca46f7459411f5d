"""What the worker of a crowd runs."""

import time

from django_tasks_q import Context, every, periodic, task

__all__ = ["charge", "copy", "report"]


@task(queue_name="reports")
def report(number: int) -> int:
    """Take a while: the queue does not run dry while one looks."""
    time.sleep(0.5)
    return number


@task(queue_name="live", takes_context=True, priority=10)
def copy(context: Context, pieces: int, message: str) -> int:
    """Say how far it is, until somebody cancels it."""
    for piece in range(pieces):
        if context.is_cancelled:
            return piece
        context.progress(piece, pieces, message)
        time.sleep(0.1)
    return pieces


@task(queue_name="live", priority=10)
def charge(order: int, note: str = "") -> int:
    """Fail for every odd order."""
    if order % 2:
        raise ValueError(f"order {order} cannot be charged: {note}")
    return order


@periodic(every(seconds=5), name="count orders")
@task(queue_name="live")
def count_orders() -> None:
    """Nothing but a schedule's task."""
