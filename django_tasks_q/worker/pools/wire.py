"""What parent and child say to each other over a socket: frames. A job's frame says what to run."""

import json
import struct
from collections.abc import Container
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from ...brokers.values import ClaimedJob
from ...payloads import is_storable
from ..log_window import Line

__all__ = [
    "HEADER",
    "LONGEST",
    "LONGEST_LEVEL",
    "LONGEST_NAME",
    "Frame",
    "JobFrame",
    "Limit",
    "LogNote",
    "ProgressNote",
    "Ready",
    "Run",
    "decode_frame",
    "decode_job",
    "encode_job",
    "encode_limit",
    "encode_logs",
    "encode_progress",
    "encode_ready",
    "is_plausible",
]

HEADER = struct.Struct(">IBQ")
_RUN = struct.Struct(">ddd??????II")
_LIMIT = struct.Struct(">dd?d")
_JOB = struct.Struct(">?7I")
JOB, READY, LIMIT, RUN, PROGRESS, LOGS = range(6)
# What a child may say of a job that it has.
TOLD = frozenset({LIMIT, RUN, PROGRESS, LOGS})
# Seconds: further than any clock goes.
LONGEST = 1e11
# Bytes of a frame of lines; one line may be half of it. Characters of the names in it.
LARGEST_LOGS = 131_072
LONGEST_LEVEL, LONGEST_NAME = 20, 100


class JobFrame(NamedTuple):
    """A job on its way to a child, whose parts are JSON where the table has JSON, unread: they may be damaged.

    has_ended: it is not to be run, but only to be announced. fields: the other columns, and what the worker adds.
    """

    has_ended: bool
    id: str
    task_path: str
    args: str
    kwargs: str
    options: str
    metadata: str
    errors: str
    fields: str


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


class ProgressNote(NamedTuple):
    """What the running job says of how far it is, as JSON text."""

    seq: int
    text: str


class LogNote(NamedTuple):
    """What the running job has logged. left_out: how many lines there were before these that are not sent.

    held: they are to be written with the end of the run, and not before.
    """

    seq: int
    held: bool
    left_out: int
    lines: tuple[Line, ...]


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
    def decode(cls, seq: int, body: bytes | bytearray) -> "Run":
        """Return the run that was sent. Raise ValueError where none was."""
        *numbers, value_size, error_size = _unpack(_RUN, body)
        if not _are_seconds(*numbers[:3]):
            raise ValueError("These cannot be times.")
        value_end = _RUN.size + value_size
        error_end = value_end + error_size
        if error_end > len(body):
            raise ValueError(f"{len(body)} bytes are too few.")
        value, error = body[_RUN.size : value_end].decode(), body[value_end:error_end].decode()
        return cls._make((seq, *numbers, value or None, error or None, body[error_end:].decode()))


Frame = Ready | Limit | ProgressNote | LogNote | Run


def encode_ready() -> bytes:
    return _frame(READY, 0, b"")


def encode_limit(limit: Limit) -> bytes:
    return _frame(LIMIT, limit.seq, _LIMIT.pack(limit.started_at, limit.timeout, limit.retry, limit.retry_in))


def encode_progress(note: ProgressNote) -> bytes:
    return _frame(PROGRESS, note.seq, note.text.encode())


def encode_logs(note: LogNote) -> bytes:
    return _frame(LOGS, note.seq, json.dumps(note[1:], ensure_ascii=False).encode())


def encode_job(seq: int, job: ClaimedJob, worker_id: str, clock: float, ended: str | None = None) -> bytes:
    """Return the frame of a job. Its payloads are JSON already and are put in unread.

    clock: the seconds by which the database's clock is ahead of this host's. ended: the entry of Job.errors with which
    the job has ended, where it is not to be run but only to be announced as FAILED.
    """
    ending = "null" if ended is None else json.dumps(ended)
    sizes = _JOB.pack(
        ended is not None, len(job.id), len(job.task_path), len(job.args), len(job.kwargs), len(job.options),
        len(job.metadata), len(job.errors),
    )  # fmt: skip
    text = (
        f"{job.id}{job.task_path}{job.args}{job.kwargs}{job.options}{job.metadata}{job.errors}"
        f'{{"queue_name": {_quoted(job.queue_name)}, "priority": {job.priority},'
        f' "run_after": {_moment(job.run_after)}, "enqueued_at": {_moment(job.enqueued_at)},'
        f' "started_at": {_moment(job.started_at)}, "attempt": {job.attempt}, "failures": {job.failures},'
        f' "losses": {job.losses}, "worker_id": {_quoted(worker_id)}, "clock": {clock!r}, "ended": {ending}}}'
    )
    return _frame(JOB, seq, sizes + text.encode())


def decode_job(body: bytes) -> JobFrame:
    """Return the job of a frame."""
    has_ended, job_id, path, args, kwargs, options, metadata, errors = _JOB.unpack_from(body)
    text = body[_JOB.size :].decode()
    # Where each part ends. A loop over them takes three times as long.
    path += job_id
    args += path
    kwargs += args
    options += kwargs
    metadata += options
    errors += metadata
    return JobFrame(
        has_ended, text[:job_id], text[job_id:path], text[path:args], text[args:kwargs], text[kwargs:options],
        text[options:metadata], text[metadata:errors], text[errors:],
    )  # fmt: skip


def _moment(moment: datetime | None) -> str:
    return "null" if moment is None else f'"{moment.isoformat()}"'


@lru_cache(maxsize=1_024)
def _quoted(text: str) -> str:
    """Return text as JSON; the same few names come with every job."""
    return json.dumps(text)


def _frame(kind: int, seq: int, body: bytes) -> bytes:
    return HEADER.pack(len(body), kind, seq) + body


def is_plausible(size: int, kind: int, seq: int, expected: Container[int]) -> bool:
    """Say whether a child may send a frame that begins like this. expected: the numbers of the jobs that it has."""
    if kind in TOLD and seq in expected:
        return kind != LOGS or size <= LARGEST_LOGS
    return (kind, size, seq) == (READY, 0, 0)


def decode_frame(kind: int, seq: int, body: bytes | bytearray) -> Frame:
    """Return the frame with this body. Raise ValueError where it has none of that kind."""
    if kind == RUN:
        return Run.decode(seq, body)
    if kind == PROGRESS:
        if not is_storable(json.dumps(json.loads(body, parse_constant=_refuse), ensure_ascii=False)):
            raise ValueError("No database could keep this.")
        return ProgressNote(seq, body.decode())
    if kind == LOGS:
        return _decode_logs(seq, body)
    return _decode_limit(seq, body) if kind == LIMIT else Ready()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON.")


def _decode_logs(seq: int, body: bytes | bytearray) -> LogNote:
    note = json.loads(body)
    if not (isinstance(note, list) and len(note) == 3 and isinstance(note[2], list) and all(map(_is_line, note[2]))):
        raise ValueError("These cannot be lines.")
    held, left_out, lines = note
    if not (isinstance(held, bool) and type(left_out) is int and 0 <= left_out < LONGEST):
        raise ValueError("This cannot be said of lines.")
    return LogNote(seq, held, left_out, tuple(map(tuple, lines)))


def _is_line(line: Any) -> bool:
    if not isinstance(line, list) or [*map(type, line)] not in ([float, str, str, str], [int, str, str, str]):
        return False
    at, level, name, message = line
    return (
        0 <= at < LONGEST
        and len(level) <= LONGEST_LEVEL
        and len(name) <= LONGEST_NAME
        and is_storable(level + name + message)
    )


def _decode_limit(seq: int, body: bytes | bytearray) -> Limit:
    limit = Limit(seq, *_unpack(_LIMIT, body))
    if len(body) != _LIMIT.size or not _are_seconds(limit.started_at, limit.timeout, limit.retry_in):
        raise ValueError("These cannot be the limits of a job.")
    return limit


def _unpack(fixed: struct.Struct, body: bytes | bytearray) -> tuple[Any, ...]:
    if len(body) < fixed.size:
        raise ValueError(f"{len(body)} bytes are too few.")
    return fixed.unpack_from(body)


def _are_seconds(first: float, second: float, third: float) -> bool:
    # No comparison is true of what is no number.
    return 0 <= first < LONGEST and 0 <= second < LONGEST and 0 <= third < LONGEST
