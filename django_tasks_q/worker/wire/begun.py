"""The job that a child has begun last, in memory that it shares with its parent."""

import mmap
import os
import struct
import tempfile

__all__ = ["BegunMark"]

_NUMBER = struct.Struct(">Q")


class BegunMark:
    """The number of a job, written by the child before the task runs, and read by the parent at any time.

    It costs the child no system call. descriptor: of the memory, for the other process.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, mmap.PAGESIZE)

    @classmethod
    def create(cls) -> "BegunMark":
        descriptor = _anonymous_file()
        os.ftruncate(descriptor, mmap.PAGESIZE)
        return cls(descriptor)

    def set(self, number: int) -> None:
        _NUMBER.pack_into(self._memory, 0, number)

    @property
    def number(self) -> int:
        """The number that was set last, 0 at first."""
        return int(_NUMBER.unpack_from(self._memory)[0])

    def close(self) -> None:
        self._memory.close()
        os.close(self.descriptor)


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("begun")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
