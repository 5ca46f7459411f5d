"""What parent and child say to each other: frames over a socket, and one token for each job over a pipe.

A job's frame says what to run, its token that it may begin. Both processes hold the reading end of the token pipe, and
the kernel gives each token to one of them: what the parent reads back has not been started and never will be. So a
child may be handed work ahead, and lose it again while it is busy, even where it is stuck in C code.
"""

import json
import logging
import os
import select
import struct
from datetime import datetime
from functools import lru_cache
from socket import socket
from typing import Any, NamedTuple

from ...brokers.values import ClaimedJob

__all__ = [
    "FrameBuffer",
    "FrameReader",
    "Limit",
    "Ready",
    "Run",
    "TokenPipe",
    "decode_job",
    "encode_job",
    "encode_limit",
    "encode_ready",
]

_HEADER = struct.Struct(">IBQ")
_TOKEN = struct.Struct(">Q")
_RUN = struct.Struct(">ddd??????II")
_LIMIT = struct.Struct(">dd?d")
_DECODER = json.JSONDecoder()
JOB, READY, LIMIT, RUN = range(4)
CHUNK = 262_144
logger = logging.getLogger("django_tasks_q.worker")


class Ready(NamedTuple):
    """A child has started and waits for work."""


class Limit(NamedTuple):
    """The job that a child begins has a hard time limit.

    started_at: monotonic seconds. timeout: seconds. retry, retry_in: what to do with the job when it is killed for it.
    """

    seq: int
    started_at: float
    timeout: float
    retry: bool
    retry_in: float


class Run(NamedTuple):
    """How a child's run of a job ended; times are this host's clock, see brokers.values.Outcome for the rest.

    successful, retry: neither means that the job has failed for good. recorded: the child has recorded it itself.
    """

    seq: int
    started_at: float
    finished_at: float
    retry_in: float = 0.0
    successful: bool = False
    retry: bool = False
    failed: bool = False
    charged: bool = True
    recorded: bool = False
    superseded: bool = False
    return_value: str | None = None
    error: str | None = None
    reason: str = ""

    def encode(self) -> bytes:
        value = b"" if self.return_value is None else self.return_value.encode()
        error = b"" if self.error is None else self.error.encode()
        fixed = _RUN.pack(
            self.started_at, self.finished_at, self.retry_in, self.successful, self.retry, self.failed, self.charged,
            self.recorded, self.superseded, len(value), len(error),
        )  # fmt: skip
        return _frame(RUN, self.seq, fixed + value + error + self.reason.encode())

    @classmethod
    def decode(cls, seq: int, body: bytes) -> "Run":
        *numbers, value_size, error_size = _RUN.unpack_from(body)
        value_end = _RUN.size + value_size
        error_end = value_end + error_size
        value, error = body[_RUN.size : value_end].decode(), body[value_end:error_end].decode()
        return cls._make((seq, *numbers, value or None, error or None, body[error_end:].decode()))


def encode_ready() -> bytes:
    return _frame(READY, 0, b"")


def encode_limit(limit: Limit) -> bytes:
    return _frame(LIMIT, limit.seq, _LIMIT.pack(limit.started_at, limit.timeout, limit.retry, limit.retry_in))


def encode_job(seq: int, job: ClaimedJob, worker_id: str, clock: float, ended: str | None = None) -> bytes:
    """Return the frame of a job. Its payloads are JSON already and are put in unread.

    clock: the seconds by which the database's clock is ahead of this host's. ended: the entry of Job.errors with which
    the job has ended, where it is not to be run but only to be announced as FAILED.
    """
    # In its first run, a job starts when the child says so.
    started_at = job.started_at if job.attempt > 1 else None
    ending = "null" if ended is None else json.dumps(ended)
    return _frame(
        JOB,
        seq,
        (
            f'{{"id": "{job.id}", "queue_name": {_quoted(job.queue_name)}, "priority": {job.priority},'
            f' "task_path": {_quoted(job.task_path)}, "run_after": {_moment(job.run_after)},'
            f' "enqueued_at": {_moment(job.enqueued_at)}, "started_at": {_moment(started_at)},'
            f' "attempt": {job.attempt}, "failures": {job.failures}, "losses": {job.losses},'
            f' "worker_id": {_quoted(worker_id)}, "clock": {clock!r}, "ended": {ending}}}'
            f'{{"args": {job.args}, "kwargs": {job.kwargs}, "options": {job.options},'
            f' "metadata": {job.metadata}, "errors": {job.errors}}}'
        ).encode(),
    )


def _moment(moment: datetime | None) -> str:
    return "null" if moment is None else f'"{moment.isoformat()}"'


@lru_cache(maxsize=1_024)
def _quoted(text: str) -> str:
    """Return text as JSON; the same few names come with every job."""
    return json.dumps(text)


def _frame(kind: int, seq: int, body: bytes) -> bytes:
    return _HEADER.pack(len(body), kind, seq) + body


class FrameReader:
    """The child's end of a channel: it waits for frames, and takes in one go what has arrived."""

    def __init__(self, channel: socket) -> None:
        self.channel = channel
        self._incoming = bytearray()
        self._start = 0

    def read(self) -> tuple[int, bytes] | None:
        """Wait for a whole frame; return its job's number and body, or None at the end of the stream."""
        header = self._take(_HEADER.size)
        if header is None:
            return None
        size, _, seq = _HEADER.unpack(header)
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
    """The parent's end of a channel, which never waits."""

    def __init__(self, channel: socket) -> None:
        channel.setblocking(False)
        self.channel = channel
        # The child is gone: the channel stays readable, but there is nothing to wait for.
        self.is_at_end = False
        self._incoming = bytearray()
        self._outgoing = bytearray()

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

    def receive(self) -> list[Ready | Limit | Run]:
        """Read what has arrived and return the whole frames."""
        self._fill()
        frames, start = [], 0
        while len(self._incoming) - start >= _HEADER.size:
            size, kind, seq = _HEADER.unpack_from(self._incoming, start)
            end = start + _HEADER.size + size
            if len(self._incoming) < end:
                break
            frames.append(_decode(kind, seq, bytes(self._incoming[start + _HEADER.size : end])))
            start = end
        del self._incoming[:start]
        return frames

    def _fill(self) -> None:
        try:
            while data := self.channel.recv(CHUNK):
                self._incoming += data
        except BlockingIOError:
            return
        except ConnectionResetError:
            logger.debug("A child has left without reading all.")
        self.is_at_end = True


def _decode(kind: int, seq: int, body: bytes) -> Ready | Limit | Run:
    if kind == RUN:
        return Run.decode(seq, body)
    return Limit(seq, *_LIMIT.unpack(body)) if kind == LIMIT else Ready()


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


def decode_job(body: bytes) -> tuple[dict[str, Any], str]:
    """Return what the worker said of a job, and its payloads, still as JSON: they may be damaged."""
    text = body.decode()
    fields, end = _DECODER.raw_decode(text)
    return fields, text[end:]
