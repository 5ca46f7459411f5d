"""One token for each job, over a pipe: it may begin.

Both processes hold the reading end, and the kernel gives each token to one of them: what the parent reads back has not
been started and never will be. So a child may be handed work ahead, and lose it again while it is busy, even where it
is stuck in C code.
"""

import os
import select
import struct

__all__ = ["TokenPipe"]

_TOKEN = struct.Struct(">Q")


class TokenPipe:
    """Permissions to begin a job, each taken by exactly one of the processes that hold the pipe."""

    def __init__(self, reader: int, writer: int | None) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    def create(cls) -> "TokenPipe":
        reader, writer = os.pipe()
        # The flag belongs to the pipe, not to the process: the child waits with poll() instead.
        os.set_blocking(reader, False)
        return cls(reader, writer)

    def put(self, numbers: list[int]) -> None:
        if self.writer is None:
            raise ValueError("This pipe gives out no more tokens.")
        os.write(self.writer, b"".join(_TOKEN.pack(number) for number in numbers))

    def take(self) -> int | None:
        """Wait for a token; return its number, or None where no more will come."""
        while True:
            try:
                token = os.read(self.reader, _TOKEN.size)
            except BlockingIOError:
                self._wait()
            else:
                return int(_TOKEN.unpack(token)[0]) if token else None

    def take_back(self) -> list[int]:
        """Return the numbers of all tokens that nobody has taken."""
        numbers: list[int] = []
        while True:
            try:
                tokens = os.read(self.reader, _TOKEN.size * 512)
            except BlockingIOError:
                return numbers
            if not tokens:
                return numbers
            numbers += [number for (number,) in _TOKEN.iter_unpack(tokens)]

    def close(self) -> None:
        os.close(self.reader)
        self.stop()

    def stop(self) -> None:
        """Give out no more tokens: the child ends after the last one."""
        if self.writer is not None:
            os.close(self.writer)
            self.writer = None

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        poll.poll()
