"""Something else to do while the server works."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["meanwhile"]

# What a psycopg generator yields when all has been sent, and it waits for the answer: psycopg.waiting.Wait.R.
WAITS_FOR_ANSWER = 1
# psycopg.pq.TransactionStatus.IDLE
IDLE = 0
Statement = Generator[int, Any, Any]


@contextmanager
def meanwhile(connection: Any, work: Callable[[], object]) -> Iterator[None]:
    """Have a function called once for each statement, while this psycopg connection waits for the answer.

    It is called after the statement has been sent, and must not use the connection.
    """
    wait = connection.wait

    def wait_and_work(generator: Statement, *args: Any, **kwargs: Any) -> Any:
        return wait(_with_work(generator, work, begins=_begins(connection)), *args, **kwargs)

    connection.wait = wait_and_work
    try:
        yield
    finally:
        vars(connection).pop("wait")


def _begins(connection: Any) -> bool:
    """Return whether the next statement is the first of a transaction: BEGIN is sent first, and answered at once."""
    return not connection.autocommit and connection.info.transaction_status == IDLE


def _with_work(statement: Statement, work: Callable[[], object], *, begins: bool) -> Statement:
    answers = 0
    try:
        wanted = next(statement)
        while True:
            if wanted == WAITS_FOR_ANSWER:
                answers += 1
                if answers == 1 + begins:
                    work()
            wanted = statement.send((yield wanted))
    except StopIteration as end:
        return end.value
