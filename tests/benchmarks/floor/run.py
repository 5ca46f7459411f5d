"""Running the measurements."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

from ..clock import SECOND, Freezes
from .bench import Bench, Operation
from .claims import claim_and_finish
from .figures import Figure, Span
from .inserts import copy, insert, insert_async, insert_django_cursor, unnest
from .machine import fsync, pipe
from .tables import Tables, temporary_tables
from .trips import connect, listen_notify, listen_notify_insert, select_1

__all__ = ["NAMES", "SECONDS", "figures", "measure"]

SECONDS = 3.0
# The share of the measured time that goes before it.
WARM_UP = 0.15
MEASUREMENTS: dict[str, Callable[[Bench], Sequence[Operation]]] = {
    "claim_and_finish_1": claim_and_finish(1),
    "claim_and_finish_10": claim_and_finish(10),
    "claim_and_finish_100": claim_and_finish(100),
    "claim_and_finish_500": claim_and_finish(500),
    "claim_and_finish_500_x2": claim_and_finish(500, claimers=2),
    "claim_and_move_500": claim_and_finish(500, made_up=True),
    "insert": insert,
    "insert_django_cursor": insert_django_cursor,
    "insert_async": insert_async,
    "unnest": unnest,
    "copy": copy,
    "fsync": fsync,
    "select_1": select_1,
    "connect": connect,
    "listen_notify": listen_notify,
    "listen_notify_insert": listen_notify_insert,
    "pipe_1": pipe(1),
    "pipe_100": pipe(100),
}
NAMES = tuple(MEASUREMENTS)


def measure(dsn: str, names: Iterable[str] | None = None, *, seconds: float = SECONDS) -> dict[str, Figure]:
    """Return the figures of the measurements with these names, or of all: see figures()."""
    return {figure.name: figure for figure in figures(dsn, names, seconds=seconds)}


def figures(dsn: str, names: Iterable[str] | None = None, *, seconds: float = SECONDS) -> Iterator[Figure]:
    """Measure one after the other and yield each figure as soon as it is known.

    dsn: of a PostgreSQL on which a database can be made. seconds: what each takes, besides its preparation.
    """
    wanted = list(NAMES if names is None else names)
    if unknown := set(wanted) - set(NAMES):
        raise ValueError(f"There is no measurement {', '.join(sorted(unknown))}. There are: {', '.join(NAMES)}.")
    with temporary_tables(dsn) as tables, Freezes() as freezes:
        for name in wanted:
            yield _measure(name, tables, seconds, freezes)


def _measure(name: str, tables: Tables, seconds: float, freezes: Freezes) -> Figure:
    with Bench(tables, seconds) as bench:
        operations = MEASUREMENTS[name](bench)
        _repeat_all(operations, seconds * WARM_UP)
        client, database, begin = bench.client_cpu(), bench.database_cpu(), time.monotonic_ns()
        units, durations = _repeat_all(operations, seconds)
        end = time.monotonic_ns()
        used = None if database is None else (bench.database_cpu() or 0.0) - database
        span = Span((end - begin) / SECOND, freezes.frozen(begin, end), bench.client_cpu() - client, used)
    return Figure.of(name, units, span, durations)


def _repeat_all(operations: Sequence[Operation], seconds: float) -> tuple[int, list[float]]:
    """Repeat each operation in a thread of its own; return the units done, and the seconds that each time took."""
    if len(operations) == 1:
        return _repeat(operations[0], seconds)
    with ThreadPoolExecutor(len(operations)) as threads:
        done = list(threads.map(_repeat, operations, repeat(seconds)))
    return sum(units for units, _ in done), list(chain.from_iterable(durations for _, durations in done))


def _repeat(operation: Operation, seconds: float) -> tuple[int, list[float]]:
    units, durations = 0, []
    now = time.perf_counter()
    end = now + seconds
    while now < end and (done := operation()):
        begin, now = now, time.perf_counter()
        units += done
        durations.append(now - begin)
    return units, durations
