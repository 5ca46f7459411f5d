"""Time zones whose clocks are changed when a test wants it."""

import struct
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["make_zone", "zones_in"]


def make_zone(folder: Path, change_at: datetime, *, forward: bool) -> str:
    """Make a time zone, an hour east of UTC in summer, and return its name; it is found in a folder of zones.

    The name is a rule of POSIX, which PostgreSQL and the C library understand; for Python there is a file.
    """
    changes = (change_at, _other(change_at)) if forward else (_other(change_at), change_at)
    # Each on the clock that is changed.
    start, end = changes[0].astimezone(UTC), changes[1].astimezone(UTC) + timedelta(hours=1)
    name = f"XST0XDT-1,{_rule(start)},{_rule(end)}"
    block = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb4s", 0, 0, 0, b"XST\0")
    path = folder / name
    path.parent.mkdir(parents=True)
    path.write_bytes(block + block + f"\n{name}\n".encode())
    zoneinfo.ZoneInfo.clear_cache()
    return name


def _other(change_at: datetime) -> datetime:
    """Return a moment of the same year that is far away."""
    return change_at.replace(month=(change_at.month + 5) % 12 + 1, day=15)


def _rule(wall: datetime) -> str:
    # Counted as if no year had a 29th of February.
    day = wall.replace(year=2023) if (wall.month, wall.day) != (2, 29) else wall.replace(year=2023, day=28)
    return f"J{day.timetuple().tm_yday}/{wall:%H:%M:%S}"


@contextmanager
def zones_in(folder: Path) -> Iterator[None]:
    """Have Python find the zones in a folder too."""
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(folder), *before])
    yield
    zoneinfo.reset_tzpath(to=before)
    zoneinfo.ZoneInfo.clear_cache()
