"""What the supervisors have sent to their children: see meter/sitecustomize.py."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..benchmarks.processes import TOP

__all__ = ["Sent", "environment", "read_meters"]

PREFIX = "meter-"
LAYOUT = struct.Struct("<QQQQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """By one supervisor. total: bytes over its sockets. marked: bytes of large texts, as often as each was sent.

    distinct: the same, but each text once.
    """

    worker: str
    total: int = 0
    sends: int = 0
    marked: int = 0
    distinct: int = 0


def environment(logs: Path, worker: str) -> dict[str, str]:
    """Return what makes a worker count."""
    return {"PYTHONPATH": f"{Path(__file__).parent / 'meter'}:{TOP}", "CHAOS_METER": str(logs / f"{PREFIX}{worker}")}


def read_meters(logs: Path) -> Iterator[Sent]:
    for path in sorted(logs.glob(f"{PREFIX}*")):
        data = path.read_bytes()
        if len(data) == LAYOUT.size:
            total, sends, marked, distinct = LAYOUT.unpack(data)
            worker = path.name.removeprefix(PREFIX)
            yield Sent(worker=worker, total=total, sends=sends, marked=marked, distinct=distinct)
