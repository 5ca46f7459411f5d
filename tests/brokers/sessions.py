from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

from django.db import connections, transaction

from tests.waiting import LIMIT

__all__ = ["Session"]


class Session:
    """A connection of its own, in a thread of its own."""

    def __init__(self, broker: Any) -> None:
        self.thread = ThreadPoolExecutor(1)
        self.open: ExitStack | None = None
        self.run(broker.dialect.prepare_session)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function on this connection, and return its answer."""
        return self.thread.submit(function, *args, **kwargs).result(LIMIT)

    def begin(self) -> None:
        """Open a transaction, in which everything runs until end()."""
        self.open = ExitStack()
        self.run(self.open.enter_context, transaction.atomic())

    def end(self, *, commit: bool) -> None:
        assert self.open is not None
        if not commit:
            self.run(transaction.set_rollback, True)
        self.run(self.open.close)
        self.open = None

    def close(self) -> None:
        self.run(connections.close_all)
        self.thread.shutdown()
