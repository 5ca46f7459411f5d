"""Job ids: UUID version 7 (RFC 9562, method 3), in order of creation within a process."""

import os
import threading
import time
import uuid
from datetime import UTC, datetime

__all__ = ["first_id_at", "moment_of", "new_id", "uuid7"]

_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """Return a UUIDv7 that is greater than all that this process made before.

    48 bits of Unix time in milliseconds, 12 bits of its fraction, 62 random bits.
    """
    return uuid.UUID(int=_next())


def new_id() -> str:
    """Return the text of a new UUIDv7, as str() of it, but in half the time."""
    text = f"{_next():032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _next() -> int:
    global _last
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    stamp = milliseconds << 12 | (rest << 12) // 1_000_000
    with _lock:
        stamp = max(stamp, _last + 1)
        _last = stamp
    random_bits = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF
    return (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0x2 << 62 | random_bits


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


# Another thread may hold the lock during a fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def first_id_at(moment: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of a datetime."""
    milliseconds = max(0, int(moment.timestamp() * 1_000))
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)


def moment_of(job_id: uuid.UUID) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond, in UTC."""
    return datetime.fromtimestamp((job_id.int >> 80) / 1_000, UTC)
