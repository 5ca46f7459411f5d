"""How frames travel between parent and child: over a socket, in pieces."""

import logging
from collections import deque
from collections.abc import Container, Iterator
from itertools import islice
from socket import socket

from .frames import HEADER, Frame, Ready, Run, decode_frame, is_plausible

__all__ = ["FrameBuffer", "FrameReader"]

# Bytes read at once, and how often in a row from one child; frames written in one call.
CHUNK, MOST_CHUNKS, MOST_FRAMES = 262_144, 8, 256
logger = logging.getLogger("django_tasks_q.worker")


class FrameReader:
    """The child's end of a channel: it waits for frames, and reads all that has arrived at once."""

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

    Input is not trusted: a task may write into any descriptor of its process. is_garbled: something arrived that is
    not a frame; nothing is read after it.
    """

    def __init__(self, channel: socket) -> None:
        channel.setblocking(False)
        self.channel = channel
        self.is_garbled = False
        # The child is gone: the channel stays readable, but there is nothing to wait for.
        self.is_at_end = False
        self._incoming = bytearray()
        # Frames to write, each with the number of its job; a part of the first one may already be written.
        self._outgoing: deque[tuple[int, bytes | memoryview]] = deque()
        self._is_first_begun = False
        self._frames: deque[Frame] = deque()

    @property
    def has_frames(self) -> bool:
        """Whether something has been read that has not been received yet."""
        return bool(self._frames)

    @property
    def has_output(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._outgoing)

    @property
    def runs(self) -> list[Run]:
        """The runs that have been read but not received yet."""
        return [frame for frame in self._frames if isinstance(frame, Run)]

    def send(self, frame: bytes, number: int = 0) -> None:
        """Write the frame of a job with this number; keep what does not fit until flush() is called again."""
        self.add(frame, number)
        self.flush()

    def add(self, frame: bytes, number: int) -> None:
        """Keep the frame of a job with this number until flush() is called."""
        self._outgoing.append((number, frame))

    def flush(self) -> None:
        """Write as much as the socket accepts. Frames for a dead child are dropped."""
        try:
            while self._outgoing:
                frames = [frame for _, frame in islice(self._outgoing, MOST_FRAMES)]
                sent = self.channel.sendmsg(frames)
                if len(frames) == len(self._outgoing) and sent == sum(map(len, frames)):
                    self._outgoing.clear()
                    self._is_first_begun = False
                else:
                    self._note_sent(sent)
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._outgoing.clear()

    def _note_sent(self, size: int) -> None:
        """Drop this many bytes."""
        while size:
            number, frame = self._outgoing.popleft()
            size -= len(frame)
            self._is_first_begun = size < 0
            if size < 0:
                self._outgoing.appendleft((number, memoryview(frame)[size:]))
                return

    def drop(self, numbers: Container[int]) -> set[int]:
        """Drop the frames of these jobs that have not been partly written; return the numbers of those."""
        kept = list(islice(self._outgoing, 1)) if self._is_first_begun else []
        rest = list(islice(self._outgoing, len(kept), None))
        self._outgoing = deque([*kept, *(item for item in rest if item[0] not in numbers)])
        return {number for number, _ in rest if number in numbers}

    def receive(self, expected: Container[int]) -> Iterator[Frame]:
        """Read what has arrived and yield the complete frames, up to the first that is invalid.

        expected: the numbers of the jobs that the child has; checked again for each frame.
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
            # Before the rest has arrived: the size in an invalid frame means nothing.
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
            for _ in range(MOST_CHUNKS):
                data = self.channel.recv(CHUNK)
                if not data:
                    break
                self._incoming += data
                if len(data) < CHUNK:
                    return
            else:
                # There may be more, for the next time.
                return
        except BlockingIOError:
            return
        except ConnectionResetError:
            logger.debug("A child exited without reading everything.")
        self.is_at_end = True
