import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import AF_UNIX, SOCK_STREAM, socket, socketpair

import pytest

from django_tasks_q.worker.pools.wire import (
    FrameBuffer,
    FrameReader,
    Limit,
    Ready,
    Run,
    TokenPipe,
    decode_job,
    encode_job,
    encode_limit,
    encode_ready,
)

from .jobs import make_job

RUNS = [
    Run(1, 10.0, 11.5, successful=True, return_value='{"a": "ü"}'),
    Run(2, 10.0, 11.0, 3.5, retry=True, failed=True, error='{"exception": "x"}', reason="ValueError: ü"),
    Run(3, 0.0, 0.0, charged=False, retry=True),
    Run(4, 0.0, 0.0, recorded=True, superseded=True),
    Run(2**63, 0.0, 0.0, failed=True, error="x" * 1_000_000),
]


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
        received += buffer.receive()
    assert received == [run]


def test_frames_arrive_in_order_however_they_are_cut(channels: tuple[socket, socket]) -> None:
    ours, theirs = channels
    buffer, received = FrameBuffer(ours), []
    limit = Limit(7, 1.5, 30.0, retry=True, retry_in=2.5)
    for byte in encode_ready() + encode_limit(limit) + RUNS[0].encode():
        theirs.sendall(bytes([byte]))
        received += buffer.receive()
    assert received == [Ready(), limit, RUNS[0]]


def test_a_job_arrives_with_its_payloads_unread(channels: tuple[socket, socket]) -> None:
    ours, theirs = channels
    # Not even valid JSON: that is for the child to find.
    job = make_job(args='[1, "ü\\n"]', kwargs="{broken", attempt=3, failures=2)
    ours.sendall(encode_job(5, job, "worker-1", 0.25))
    frame = FrameReader(theirs).read()
    assert frame is not None
    seq, body = frame
    fields, payloads = decode_job(body)
    assert (seq, fields["id"], fields["attempt"], fields["failures"]) == (5, str(job.id), 3, 2)
    assert (fields["worker_id"], fields["clock"], fields["run_after"]) == ("worker-1", 0.25, None)
    assert '[1, "ü\\n"]' in payloads
    with pytest.raises(json.JSONDecodeError):
        json.loads(payloads)


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
    assert buffer.receive() == []


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
