"""python -m tests.benchmarks.floor [NAME ...] [--dsn URL] [--seconds 3]: print the bare limits of this machine."""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import astuple
from itertools import chain

try:
    from rich.live import Live
    from rich.table import Table
except ImportError:  # The lines are plain then.
    Live = None  # type: ignore[assignment, misc]

from .figures import Figure
from .run import NAMES, SECONDS, figures

DSN = "postgresql://postgres@127.0.0.1:5432/postgres"
HEADINGS = (
    "measurement", "units", "a second", "effective", "client µs", "database µs", "p50 ms", "p95 ms", "p99 ms",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.floor", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to measure (all): {', '.join(NAMES)}")
    parser.add_argument("--dsn", default=DSN, help="of a PostgreSQL on which a database can be made (%(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="what each takes (%(default)s)")
    given = parser.parse_args()
    show(figures(given.dsn, given.names or None, seconds=given.seconds))


def show(found: Iterable[Figure]) -> None:
    """Print each figure as it comes: a table on a terminal where rich is installed, else plain lines."""
    rows = (cells(figure) for figure in found)
    if Live is None or not sys.stdout.isatty():
        for row in chain([HEADINGS], rows):
            sys.stdout.write(f"{row[0]:25}" + "".join(f"{cell:>16}" for cell in row[1:]) + "\n")
            sys.stdout.flush()
        return
    table = Table(HEADINGS[0])
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right")
    with Live(table):
        for row in rows:
            table.add_row(*row)


def cells(figure: Figure) -> tuple[str, ...]:
    return figure.name, *(number(value) for value in astuple(figure)[1:])


def number(value: float | None) -> str:
    """Return three digits or more; nothing for None."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
