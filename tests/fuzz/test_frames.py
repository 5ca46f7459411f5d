"""Any bytes from a child: frames, or garbage that is told from them; never an error."""

import json
import struct
from socket import AF_UNIX, SOCK_STREAM, socketpair
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from django_tasks_q.payloads import is_storable
from django_tasks_q.worker.recording.log_book import LogBook
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
from tests.hypotheses import JSON, NAMES, examples
from tests.worker.jobs import make_job

HEADER = 13
SEQS = st.integers(0, 2**64 - 1)
SECONDS = st.floats(0, 1e10)
TEXTS = NAMES.filter(bool)
RUNS = st.builds(
    Run, SEQS, SECONDS, SECONDS, st.sampled_from(ENDINGS), SECONDS, st.booleans(), st.booleans(),
    return_value=st.none() | TEXTS, error=st.none() | TEXTS, arguments=st.none() | st.tuples(TEXTS, TEXTS),
    reason=NAMES,
)  # fmt: skip
LIMITS = st.builds(Limit, SEQS, SECONDS, SECONDS, st.booleans(), SECONDS)
PROGRESS = st.builds(ProgressNote, SEQS, JSON.map(json.dumps))
LINES = st.lists(st.tuples(SECONDS, NAMES, NAMES, NAMES), max_size=3).map(tuple)
LOGS = st.builds(LogNote, SEQS, st.booleans(), st.integers(0, 10**10), LINES)
FRAMES = st.lists(RUNS | LIMITS | PROGRESS | LOGS | st.builds(Ready), max_size=4)
ENCODERS: dict[type, Any] = {
    Run: Run.encode,
    Limit: encode_limit,
    ProgressNote: encode_progress,
    LogNote: encode_logs,
    Ready: lambda frame: encode_ready(),
}


def encode(frame: Any) -> bytes:
    encoded: bytes = ENCODERS[type(frame)](frame)
    return encoded


@examples(60)
@given(data=st.binary(max_size=200) | st.tuples((RUNS | LOGS).map(encode), st.binary(max_size=20)).map(b"".join))
def test_any_bytes_are_frames_or_garbage(data: bytes) -> None:
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with ours, theirs:
        buffer = FrameBuffer(ours)
        theirs.sendall(data)
        for frame in buffer.receive(range(2**64)):
            assert isinstance(frame, tuple(ENCODERS))


@examples(60)
@given(frames=FRAMES, garbage=st.binary(min_size=HEADER, max_size=60), cut=st.integers(1, 50))
def test_frames_arrive_whole_before_garbage(frames: list[Any], garbage: bytes, cut: int) -> None:
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with ours, theirs:
        buffer, received = FrameBuffer(ours), []
        data = b"".join(map(encode, frames)) + garbage
        expected = {frame.seq for frame in frames if not isinstance(frame, Ready)}
        for start in range(0, len(data), cut):
            theirs.sendall(data[start : start + cut])
            received += buffer.receive(expected)
    assert received[: len(frames)] == frames
    assert all(isinstance(frame, Ready) for frame in received[len(frames) :]) or garbage[5:13] != bytes(8)


@examples(100)
@given(body=st.tuples(JSON, JSON, JSON | LINES).map(json.dumps) | JSON.map(json.dumps) | st.text(max_size=40))
def test_whatever_is_said_of_lines_can_be_stored_or_is_refused(body: str) -> None:
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with ours, theirs:
        buffer = FrameBuffer(ours)
        data = body.encode("utf-8", "surrogatepass")
        theirs.sendall(struct.pack(">IBQ", len(data), 5, 1) + data)
        received = list(buffer.receive([1]))
    assert buffer.is_garbled == (received == [])
    for note in received:
        assert isinstance(note, LogNote)
        assert is_storable("".join(text for line in note.lines for text in line[1:]))
        LogBook(1_024).take(make_job(), note)


@examples(200)
@given(body=st.binary(max_size=100))
def test_a_run_is_decoded_or_refused(body: bytes) -> None:
    try:
        run = Run.decode(1, body)
    except ValueError:
        return
    run.encode()


@examples(50)
@given(job=st.builds(
    make_job, NAMES, queue_name=NAMES, args=JSON.map(json.dumps) | NAMES, priority=st.integers(-(2**15), 2**15),
    attempt=st.integers(0, 2**31), run_after=st.none() | st.datetimes(),
))  # fmt: skip
def test_a_job_arrives_as_it_was_sent(job: Any) -> None:
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with ours, theirs:
        ours.sendall(encode_job(3, job, "w", 0.5))
        frame = FrameReader(theirs).read()
    assert frame is not None
    found = JobRow(frame[1], "default", 1.0)
    assert (found.id, found.task_path, found.queue_name) == (job.id, job.task_path, job.queue_name)
    assert (found.priority, found.attempt) == (job.priority, job.attempt)
    assert found.stored_arguments == (job.args, job.kwargs)


@examples(60)
@given(data=st.binary(max_size=100))
def test_the_child_reads_any_bytes_to_their_end(data: bytes) -> None:
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with theirs:
        with ours:
            ours.sendall(data)
        reader = FrameReader(theirs)
        while reader.read() is not None:
            continue
