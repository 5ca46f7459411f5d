"""One token for each job, over a pipe: permission to begin.

Both processes hold the reading end, and the kernel gives each token to one of them: a job whose token the parent reads
back has not been started and never will be. So a child may get work ahead, and lose it again while it is busy, even if
it is stuck in C code.
"""

import os
import select
import signal
import struct
from collections import deque
from collections.abc import Iterable
from itertools import islice

__all__ = ["CANCEL_SIGNAL", "TokenPipe"]

# It tells a child to look which job is to be cancelled. Programs that a task has started, and children that are not
# ready yet, ignore it.
CANCEL_SIGNAL = signal.SIGURG
_TOKEN = struct.Struct(">Q")
# Tokens in one write, which is atomic (pipe(7): PIPE_BUF); fewer if the pipe is nearly full.
AT_ONCE, FEW = 512, 32


class TokenPipe:
    """Permissions to begin a job, each taken by exactly one of the processes that hold the pipe.

    Neither end waits for the other: what does not fit is kept here until flush() is called again.
    """

    def __init__(self, reader: int, writer: int | None) -> None:
        self.reader = reader
        self.writer = writer
        self._pending: deque[int] = deque()

    @classmethod
    def create(cls) -> "TokenPipe":
        reader, writer = os.pipe()
        # The flag belongs to each end, not to the process: the child waits with poll() instead.
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        return cls(reader, writer)

    @property
    def has_output(self) -> bool:
        """Whether some tokens are still to be written."""
        return bool(self._pending)

    def put(self, numbers: Iterable[int]) -> None:
        if self.writer is None:
            raise ValueError("This pipe hands out no more tokens.")
        self._pending.extend(numbers)
        self.flush()

    def flush(self) -> None:
        """Write as many tokens as the pipe accepts."""
        most = AT_ONCE
        while self._pending and self.writer is not None:
            some = list(islice(self._pending, most))
            try:
                os.write(self.writer, b"".join(map(_TOKEN.pack, some)))
            except BlockingIOError:
                if most == FEW:
                    return
                most = FEW
            else:
                for _ in some:
                    self._pending.popleft()

    def take(self) -> int | None:
        """Wait for a token; return its number, or None if no more will come."""
        while True:
            try:
                token = os.read(self.reader, _TOKEN.size)
            except BlockingIOError:
                self._wait()
            else:
                return int(_TOKEN.unpack(token)[0]) if token else None

    def take_back(self) -> list[int]:
        """Return the numbers of all tokens that have not been taken."""
        numbers = [*self._read_all(), *self._pending]
        self._pending.clear()
        return numbers

    def _read_all(self) -> list[int]:
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
        """Hand out no more tokens: the child exits after the last one."""
        if self.writer is not None:
            os.close(self.writer)
            self.writer = None

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.reader, select.POLLIN)
        poll.poll()
