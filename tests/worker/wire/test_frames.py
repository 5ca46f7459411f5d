import json
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import AF_UNIX, SOCK_STREAM, socket, socketpair

import pytest

from django_tasks_q.brokers.values import ClaimedJob
from django_tasks_q.exceptions import CorruptJob
from django_tasks_q.lifecycle import Ending
from django_tasks_q.worker.wire.channels import FrameBuffer, FrameReader
from django_tasks_q.worker.wire.frames import (
    ENDINGS,
    Limit,
    LogNote,
    ProgressNote,
    Ready,
    Run,
    encode_limit,
    encode_logs,
    encode_progress,
    encode_ready,
)
from django_tasks_q.worker.wire.jobs import JobRow, encode_job
from django_tasks_q.worker.wire.tokens import TokenPipe

from ..jobs import make_job

# Every number that a job may have.
ANY = range(2**64)
RUNS = [
    Run(1, 10.0, 11.5, Ending.SUCCESS, return_value='{"a": "ü"}'),
    Run(2, 10.0, 11.0, Ending.ERROR, 3.5, retry=True, error='{"exception": "x"}', reason="ValueError: ü"),
    Run(3, 0.0, 0.0, Ending.REJECTED, retry=True),
    Run(4, 0.0, 0.0, Ending.SUPERSEDED, recorded=True),
    Run(5, 10.0, 11.0, Ending.ERROR, 3.5, retry=True, error="{}", arguments=('["ü"]', "{}"), reason="Retry"),
    Run(6, 10.0, 11.0, Ending.IGNORED, reason="ü"),
    Run(2**63, 0.0, 0.0, Ending.ERROR, error="x" * 1_000_000),
    *(Run(7, 0.0, 0.0, ending) for ending in ENDINGS),
]


# A frame of lines, around what is said of them.
def lines_frame(body: object) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return struct.pack(">IBQ", len(text), 5, 1) + text


def one_line(*values: object) -> bytes:
    return lines_frame([False, 0, [[*values]]])


@pytest.fixture
def channels() -> Iterator[tuple[socket, socket]]:
    """The parent's end and the child's."""
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def tokens() -> Iterator[TokenPipe]:
    pipe = TokenPipe.create()
    yield pipe
    pipe.close()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: str(run.seq))
def test_a_run_arrives_as_it_was_sent(channels: tuple[socket, socket], run: Run) -> None:
    ours, theirs = channels
    buffer, data, received = FrameBuffer(ours), run.encode(), []
    # In pieces, as a socket may deliver them.
    for start in range(0, len(data), 65_521):
        theirs.sendall(data[start : start + 65_521])
        received += buffer.receive(ANY)
    assert received == [run]


def test_lines_arrive_as_they_were_sent(channels: tuple[socket, socket]) -> None:
    ours, theirs = channels
    notes = [LogNote(1, held, 3, ((1.5, "INFO", "shop", "é👍\n"), (2, "", "", ""))) for held in (False, True)]
    for note in notes:
        theirs.sendall(encode_logs(note))
    assert list(FrameBuffer(ours).receive(ANY)) == notes


def test_frames_arrive_in_order_however_they_are_cut(channels: tuple[socket, socket]) -> None:
    ours, theirs = channels
    buffer, received = FrameBuffer(ours), []
    limit = Limit(7, 1.5, 30.0, retry=True, retry_in=2.5)
    for byte in encode_ready() + encode_limit(limit) + RUNS[0].encode():
        theirs.sendall(bytes([byte]))
        received += buffer.receive(ANY)
    assert received == [Ready(), limit, RUNS[0]]


def arrived(channels: tuple[socket, socket], job: ClaimedJob, ended: str | None = None) -> JobRow:
    """Return what a child has of a job that was sent to it."""
    ours, theirs = channels
    ours.sendall(encode_job(5, job, "worker-1", 0.25, ended))
    frame = FrameReader(theirs).read()
    assert frame is not None
    seq, body = frame
    assert seq == 5
    return JobRow(body, "default", 2_000.0)


def test_a_job_arrives_with_its_payloads_unread(channels: tuple[socket, socket]) -> None:
    # Not even valid JSON: that is for the child to find.
    job = make_job(args='[1, "ü\\n"]', kwargs="{broken", attempt=3, failures=2)
    found = arrived(channels, job)
    assert (found.id, found.attempt, found.failures) == (job.id, 3, 2)
    assert (found.worker_id, found.clock, found.run_after) == ("worker-1", 0.25, None)
    assert (found.stored_arguments, found.has_ended) == (('[1, "ü\\n"]', "{broken"), False)
    with pytest.raises(CorruptJob, match="kwargs"):
        found.read_payloads()
    with pytest.raises(AttributeError, match="nothing"):
        _ = found.nothing


def test_its_payloads_are_those_that_were_sent(channels: tuple[socket, socket]) -> None:
    sent = {
        "args": [1, "ü\n"],
        "kwargs": {"é": None},
        "options": {"timeout": 5},
        "metadata": {"a": "b"},
        "errors": [{}],
    }
    found = arrived(channels, make_job(**{name: json.dumps(value) for name, value in sent.items()}))
    found.read_payloads()
    assert {name: getattr(found, name) for name in sent} == sent


def test_a_job_that_has_only_to_be_announced_says_so(channels: tuple[socket, socket]) -> None:
    found = arrived(channels, make_job(), '{"exception": "x"}')
    assert (found.has_ended, found.ended) == (True, '{"exception": "x"}')


def test_the_parent_never_waits_for_a_child_that_does_not_read(channels: tuple[socket, socket]) -> None:
    ours, theirs = channels
    buffer = FrameBuffer(ours)
    data = os.urandom(3_000_000)
    buffer.send(data)
    assert buffer.has_output
    received = bytearray()
    while len(received) < len(data):
        received += theirs.recv(100_000)
        buffer.flush()
    assert bytes(received) == data
    assert not buffer.has_output


def test_what_is_meant_for_a_dead_child_is_forgotten(channels: tuple[socket, socket]) -> None:
    ours, theirs = channels
    buffer = FrameBuffer(ours)
    theirs.close()
    buffer.send(b"x" * 1_000)
    assert not buffer.has_output
    assert list(buffer.receive(ANY)) == []


def test_a_half_frame_is_the_end(channels: tuple[socket, socket]) -> None:
    ours, theirs = channels
    ours.sendall(encode_job(1, make_job(), "w", 0.0)[:-1])
    ours.close()
    assert FrameReader(theirs).read() is None


def test_each_token_is_taken_once(tokens: TokenPipe) -> None:
    tokens.put(list(range(1, 1_001)))
    assert [tokens.take() for _ in range(3)] == [1, 2, 3]
    assert tokens.take_back() == list(range(4, 1_001))
    assert tokens.take_back() == []


def test_a_child_ends_after_the_last_token(tokens: TokenPipe) -> None:
    tokens.put([1])
    tokens.stop()
    assert (tokens.take(), tokens.take()) == (1, None)
    assert tokens.take_back() == []


def test_each_token_goes_to_one_of_those_who_hold_the_pipe(tokens: TokenPipe) -> None:
    """The kernel sees to it, whether they are threads or processes."""
    tokens.put(list(range(5_000)))
    with ThreadPoolExecutor(4) as pool:
        taken = [future.result() for future in [pool.submit(tokens.take_back) for _ in range(4)]]
    assert sorted(number for numbers in taken for number in numbers) == list(range(5_000))


GARBAGE = {
    "text": b"neither here nor there",
    "noughts": bytes(50),
    "another's run": Run(2, 0.0, 0.0, Ending.ERROR).encode(),
    "ready with a body": struct.pack(">IBQ", 5, 1, 0) + b"12345",
    "ready with a number": struct.pack(">IBQ", 0, 1, 1),
    "a job": encode_job(1, make_job(), "w", 0.0),
    "a run of no length": struct.pack(">IBQ", 0, 3, 1),
    "a limit of no length": struct.pack(">IBQ", 0, 2, 1),
    "a limit without end": encode_limit(Limit(1, float("nan"), 1.0, retry=False, retry_in=0.0)),
    "a run in no time": Run(1, float("inf"), 0.0, Ending.ERROR).encode(),
    "a run that says more than it has": struct.pack(">IBQ39xI", 43, 3, 1, 1),
    "a run that is not text": struct.pack(">IBQ27x4IB", 44, 3, 1, 1, 0, 0, 0, 0xFF),
    "a run that ends as none does": struct.pack(">IBQ24xB18x", 43, 3, 1, len(ENDINGS)),
    "progress that is no number": encode_progress(ProgressNote(1, '{"done": NaN}')),
    "progress that no database keeps": encode_progress(ProgressNote(1, '"\\ud800"')),
    "progress without end": encode_progress(ProgressNote(1, "[" * 100_000)),
    "lines of no length": struct.pack(">IBQ", 0, 5, 1),
    "lines that are not text": lines_frame(b"\xff"),
    "lines without end": lines_frame(b"[" * 100_000),
    "too many lines": struct.pack(">IBQ", 131_073, 5, 1),
    "another's lines": encode_logs(LogNote(2, False, 0, ())),
    "no list of lines": lines_frame({"lines": []}),
    "lines that are none": lines_frame([False, 0, ["line"]]),
    "a line too short": one_line(1.0, "INFO", "shop"),
    "a line without time": one_line("1", "INFO", "shop", "hello"),
    "a line at no time": lines_frame(b'[false, 0, [[NaN, "INFO", "shop", "hello"]]]'),
    "a line at the end of time": one_line(10**400, "INFO", "shop", "hello"),
    "a line that is true": one_line(True, "INFO", "shop", "hello"),
    "a line with nought": one_line(1.0, "INFO", "shop", "\0"),
    "a line with a lone surrogate": lines_frame(b'[false, 0, [[1.0, "INFO", "shop", "\\ud800"]]]'),
    "a line of no text": one_line(1.0, "INFO", "shop", None),
    "a level of any length": one_line(1.0, "x" * 21, "shop", "hello"),
    "a logger of any length": one_line(1.0, "INFO", "x" * 101, "hello"),
    "less than nothing left out": lines_frame([False, -1, []]),
    "true left out": lines_frame([False, True, []]),
    "held by nothing": lines_frame([None, 0, []]),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_what_is_no_frame_is_told_from_what_came_before_it(channels: tuple[socket, socket], garbage: bytes) -> None:
    ours, theirs = channels
    buffer = FrameBuffer(ours)
    theirs.sendall(RUNS[0].encode() + garbage + RUNS[0].encode())
    assert list(buffer.receive([1])) == [RUNS[0]]
    assert buffer.is_garbled
    # And nothing is believed that comes later.
    theirs.sendall(RUNS[0].encode())
    assert list(buffer.receive([1])) == []
