"""What every task of every peer does: append the time to one file, 8 bytes, with one system call.

So the first run, the last run, how many ran and their rate over time are known for every queue alike, also for those
that store no results, and at the same cost for all of them: about 2 µs.
"""

import os
import struct
import time
from pathlib import Path

__all__ = ["VARIABLE", "count", "mark", "read", "read_from"]

# The environment variable that names the file.
VARIABLE = "BENCH_MARKS"
BYTES = 8

# The file as this process has it open, and the process that opened it: a fork would share it, and opens its own.
_open: tuple[int, int] | None = None


def mark() -> None:
    """Append the monotonic clock in nanoseconds, which all processes of a machine share."""
    global _open
    now = time.monotonic_ns()
    if _open is None or _open[0] != os.getpid():
        _open = os.getpid(), os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(_open[1], now.to_bytes(BYTES, "little"))


def count(path: Path) -> int:
    """Return how many marks there are; 0 if there is no file yet."""
    try:
        return path.stat().st_size // BYTES
    except FileNotFoundError:
        return 0


def read(path: Path) -> list[int]:
    """Return all marks in nanoseconds, in the order in which they were written."""
    return read_from(path, 0)


def read_from(path: Path, start: int) -> list[int]:
    """Return the marks from number `start` on, in nanoseconds."""
    if not count(path):
        return []
    with path.open("rb") as file:
        file.seek(start * BYTES)
        data = file.read()
    return [value for (value,) in struct.iter_unpack("<q", data[: len(data) // BYTES * BYTES])]
