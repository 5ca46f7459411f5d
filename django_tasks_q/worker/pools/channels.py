"""How frames travel between parent and child: over a socket, in pieces."""

import logging
from collections import deque
from collections.abc import Container, Iterator
from socket import socket

from .wire import HEADER, Frame, Ready, decode_frame, is_plausible

__all__ = ["FrameBuffer", "FrameReader"]

CHUNK = 262_144
logger = logging.getLogger("django_tasks_q.worker")


class FrameReader:
    """The child's end of a channel: it waits for frames, and takes in one go what has arrived."""

    def __init__(self, channel: socket) -> None:
        self.channel = channel
        self._incoming = bytearray()
        self._start = 0

    def read(self) -> tuple[int, bytes] | None:
        """Wait for a whole frame; return its job's number and body, or None at the end of the stream."""
        header = self._take(HEADER.size)
        if header is None:
            return None
        size, _, seq = HEADER.unpack(header)
        body = self._take(size)
        return None if body is None else (seq, body)

    def _take(self, size: int) -> bytes | None:
        while len(self._incoming) - self._start < size:
            part = self.channel.recv(CHUNK)
            if not part:
                return None
            del self._incoming[: self._start]
            self._start = 0
            self._incoming += part
        end = self._start + size
        taken = bytes(self._incoming[self._start : end])
        self._start = end
        return taken


class FrameBuffer:
    """The parent's end of a channel, which never waits.

    What comes in is not believed: a task may write into any descriptor of its process. is_garbled: something came that
    is no frame; nothing is read after it.
    """

    def __init__(self, channel: socket) -> None:
        channel.setblocking(False)
        self.channel = channel
        self.is_garbled = False
        # The child is gone: the channel stays readable, but there is nothing to wait for.
        self.is_at_end = False
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self._frames: deque[Frame] = deque()

    @property
    def has_frames(self) -> bool:
        """Whether something has been read that was not received yet."""
        return bool(self._frames)

    @property
    def has_output(self) -> bool:
        """Whether something could not be written yet."""
        return bool(self._outgoing)

    def send(self, data: bytes) -> None:
        self._outgoing += data
        self.flush()

    def flush(self) -> None:
        """Write what the socket takes. What is meant for a child that is gone is forgotten with it."""
        try:
            while self._outgoing:
                del self._outgoing[: self.channel.send(self._outgoing[:CHUNK])]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._outgoing.clear()

    def receive(self, expected: Container[int]) -> Iterator[Frame]:
        """Read what has arrived and yield the whole frames, up to the first that cannot be one.

        expected: the numbers of the jobs that the child has; looked at anew for each frame.
        """
        self.read_ahead(expected)
        while self._frames:
            frame = self._frames.popleft()
            if not isinstance(frame, Ready) and frame.seq not in expected:
                self.is_garbled = True
                self._frames.clear()
                return
            yield frame

    def read_ahead(self, expected: Container[int]) -> int:
        """Read what has arrived, for the next receive(); return how many frames wait for that."""
        self._fill()
        while not self.is_garbled and len(self._incoming) >= HEADER.size:
            size, kind, seq = HEADER.unpack_from(self._incoming)
            # Before the rest has come: the size of what is no frame says nothing.
            if not is_plausible(size, kind, seq, expected):
                self.is_garbled = True
            elif len(self._incoming) < HEADER.size + size:
                break
            else:
                self._take(kind, seq, HEADER.size + size)
        return len(self._frames)

    def _take(self, kind: int, seq: int, end: int) -> None:
        body = self._incoming[HEADER.size : end]
        del self._incoming[:end]
        try:
            self._frames.append(decode_frame(kind, seq, body))
        except (ValueError, RecursionError):
            self.is_garbled = True

    def _fill(self) -> None:
        try:
            while data := self.channel.recv(CHUNK):
                self._incoming += data
                if len(data) < CHUNK:
                    return
        except BlockingIOError:
            return
        except ConnectionResetError:
            logger.debug("A child has left without reading all.")
        self.is_at_end = True
