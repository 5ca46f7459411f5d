"""The frames that parent and child exchange over a socket, but for a job's, which is in `jobs`."""

import json
import struct
from collections.abc import Container
from typing import Any, NamedTuple

from ...lifecycle import Ending
from ...payloads import is_storable
from .log_window import Line

__all__ = [
    "HEADER",
    "JOB",
    "LONGEST",
    "LONGEST_LEVEL",
    "LONGEST_NAME",
    "Begin",
    "Frame",
    "Limit",
    "LogNote",
    "ProgressNote",
    "Ready",
    "Run",
    "decode_frame",
    "encode_begin",
    "encode_limit",
    "encode_logs",
    "encode_progress",
    "encode_ready",
    "is_plausible",
    "make_frame",
]

HEADER = struct.Struct(">IBQ")
_RUN = struct.Struct(">dddB??IIII")
_LIMIT = struct.Struct(">dd?d")
JOB, READY, LIMIT, RUN, PROGRESS, LOGS, BEGIN = range(7)
# What a child may report about a job that it has.
TOLD = frozenset({LIMIT, RUN, PROGRESS, LOGS, BEGIN})
# How a child may say that a run has ended; a frame has the place in this list.
ENDINGS = (
    Ending.SUCCESS, Ending.ERROR, Ending.SOFT_TIMEOUT, Ending.CANCELLED, Ending.IGNORED, Ending.REJECTED,
    Ending.CORRUPT, Ending.PARKED, Ending.UNKNOWN_TASK, Ending.SUPERSEDED,
)  # fmt: skip
PLACES = {ending: place for place, ending in enumerate(ENDINGS)}
# Seconds: beyond any clock, and beyond the sum of any times that come together.
LONGEST = 1e11
# Bytes in a frame of log lines; one line may be half of it. Characters in the names in it.
LARGEST_LOGS = 131_072
LONGEST_LEVEL, LONGEST_NAME = 20, 100


class Ready(NamedTuple):
    """A child has started and waits for work."""


class Begin(NamedTuple):
    """The child wants to begin a job, and waits until it may: its start has to be recorded first."""

    seq: int


class Limit(NamedTuple):
    """The job that a child begins has a hard time limit.

    started_at: monotonic seconds. timeout: seconds. retry, retry_in: what to do with the job if it is killed at the
    limit.
    """

    seq: int
    started_at: float
    timeout: float
    retry: bool
    retry_in: float


class ProgressNote(NamedTuple):
    """The progress that the running job reports, as JSON text."""

    seq: int
    text: str


class LogNote(NamedTuple):
    """What the running job has logged. left_out: how many earlier lines are not sent.

    held: they are written when the run ends, and not before.
    """

    seq: int
    held: bool
    left_out: int
    lines: tuple[Line, ...]


class Run(NamedTuple):
    """How a child's run of a job ended; times are by this host's clock, see brokers.values.Outcome for the rest.

    retry: the job is to run again, after retry_in seconds. recorded: the child has recorded it itself.
    """

    seq: int
    started_at: float
    finished_at: float
    ending: Ending
    retry_in: float = 0.0
    retry: bool = False
    recorded: bool = False
    return_value: str | None = None
    error: str | None = None
    arguments: tuple[str, str] | None = None
    reason: str = ""

    def encode(self) -> bytes:
        value = b"" if self.return_value is None else self.return_value.encode()
        error = b"" if self.error is None else self.error.encode()
        args, kwargs = (b"", b"") if self.arguments is None else map(str.encode, self.arguments)
        fixed = _RUN.pack(
            self.started_at, self.finished_at, self.retry_in, PLACES[self.ending], self.retry, self.recorded,
            len(value), len(error), len(args), len(kwargs),
        )  # fmt: skip
        return make_frame(RUN, self.seq, fixed + value + error + args + kwargs + self.reason.encode())

    @classmethod
    def decode(cls, seq: int, body: bytes | bytearray) -> "Run":
        """Return the run that was sent. Raise ValueError if it is not one."""
        (
            started_at, finished_at, retry_in, place, retry, recorded,
            value_size, error_size, args_size, kwargs_size,
        ) = _unpack(_RUN, body)  # fmt: skip
        if place >= len(ENDINGS) or not _are_seconds(started_at, finished_at, retry_in):
            raise ValueError("This is not a valid ending, or these are not valid times.")
        value_end = _RUN.size + value_size
        error_end = value_end + error_size
        args_end = error_end + args_size
        kwargs_end = args_end + kwargs_size
        if kwargs_end > len(body):
            raise ValueError(f"{len(body)} bytes are too few.")
        value, error = body[_RUN.size : value_end].decode(), body[value_end:error_end].decode()
        arguments = None
        if args_size:
            arguments = body[error_end:args_end].decode(), body[args_end:kwargs_end].decode()
        return cls(
            seq, started_at, finished_at, ENDINGS[place], retry_in, retry, recorded,
            value or None, error or None, arguments, body[kwargs_end:].decode(),
        )  # fmt: skip


Frame = Ready | Begin | Limit | ProgressNote | LogNote | Run


def encode_ready() -> bytes:
    return make_frame(READY, 0, b"")


def encode_begin(seq: int) -> bytes:
    return make_frame(BEGIN, seq, b"")


def encode_limit(limit: Limit) -> bytes:
    return make_frame(LIMIT, limit.seq, _LIMIT.pack(limit.started_at, limit.timeout, limit.retry, limit.retry_in))


def encode_progress(note: ProgressNote) -> bytes:
    return make_frame(PROGRESS, note.seq, note.text.encode())


def encode_logs(note: LogNote) -> bytes:
    return make_frame(LOGS, note.seq, json.dumps(note[1:], ensure_ascii=False).encode())


def make_frame(kind: int, seq: int, body: bytes) -> bytes:
    """Return a frame. seq: the number of its job, 0 if it is of none."""
    return HEADER.pack(len(body), kind, seq) + body


def is_plausible(size: int, kind: int, seq: int, expected: Container[int]) -> bool:
    """Return whether a child may send a frame that begins like this. expected: the numbers of the jobs that it has."""
    if kind in TOLD and seq in expected:
        return not size if kind == BEGIN else kind != LOGS or size <= LARGEST_LOGS
    return (kind, size, seq) == (READY, 0, 0)


def decode_frame(kind: int, seq: int, body: bytes | bytearray) -> Frame:
    """Return the frame with this body. Raise ValueError if it is invalid for this kind."""
    if kind == RUN:
        return Run.decode(seq, body)
    if kind == PROGRESS:
        if not is_storable(json.dumps(json.loads(body, parse_constant=_refuse), ensure_ascii=False)):
            raise ValueError("No database could store this.")
        return ProgressNote(seq, body.decode())
    if kind == LOGS:
        return _decode_logs(seq, body)
    if kind == BEGIN:
        return Begin(seq)
    return _decode_limit(seq, body) if kind == LIMIT else Ready()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON.")


def _decode_logs(seq: int, body: bytes | bytearray) -> LogNote:
    note = json.loads(body)
    if not (isinstance(note, list) and len(note) == 3 and isinstance(note[2], list) and all(map(_is_line, note[2]))):
        raise ValueError("These are not valid lines.")
    held, left_out, lines = note
    if not (isinstance(held, bool) and type(left_out) is int and 0 <= left_out < LONGEST):
        raise ValueError("This is not a valid count of lines.")
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
        raise ValueError("These are not valid limits of a job.")
    return limit


def _unpack(fixed: struct.Struct, body: bytes | bytearray) -> tuple[Any, ...]:
    if len(body) < fixed.size:
        raise ValueError(f"{len(body)} bytes are too few.")
    return fixed.unpack_from(body)


def _are_seconds(first: float, second: float, third: float) -> bool:
    # The sum is NaN if one of them is, and then no comparison is true.
    return min(first, second, third) >= 0 and first + second + third < LONGEST
