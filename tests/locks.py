"""Another session that keeps a transaction open."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection, transaction

__all__ = ["holding"]


@contextmanager
def holding(change: Callable[[], object]) -> Iterator[None]:
    """Have another session change or lock something, and commit that only in the end."""
    begun, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                change()
                begun.set()
                done.wait(120)
        finally:
            begun.set()
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(60)
    try:
        yield
    finally:
        done.set()
        holder.join()
