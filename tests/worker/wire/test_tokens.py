"""Neither end of a pipe of tokens waits for the other, however small it is."""

import fcntl
import sys
from collections.abc import Iterator

import pytest

from django_tasks_q.worker.wire.begun import BegunMark
from django_tasks_q.worker.wire.tokens import TokenPipe

PAGE = 4_096


@pytest.fixture
def pipe() -> Iterator[TokenPipe]:
    pipe = TokenPipe.create()
    if sys.platform == "linux":
        assert pipe.writer is not None
        fcntl.fcntl(pipe.writer, fcntl.F_SETPIPE_SZ, PAGE)
    yield pipe
    pipe.close()


def test_what_does_not_fit_is_kept_in_its_order(pipe: TokenPipe) -> None:
    numbers = list(range(1, 20_001))
    pipe.put(numbers)
    assert pipe.has_output
    taken = []
    while pipe.has_output or len(taken) < len(numbers):
        taken.append(pipe.take())
        pipe.flush()
    assert taken == numbers


def test_what_was_not_written_is_taken_back_too(pipe: TokenPipe) -> None:
    numbers = list(range(1, 20_001))
    pipe.put(numbers)
    first = [pipe.take(), pipe.take()]
    pipe.put([30_000])
    assert pipe.take_back() == [*numbers[2:], 30_000]
    assert (first, pipe.has_output) == ([1, 2], False)
    pipe.put([7])
    assert pipe.take() == 7


def test_a_mark_is_seen_by_all_that_share_it() -> None:
    mark = BegunMark.create()
    other = BegunMark(mark.descriptor)
    assert other.number == 0
    other.set(2**63)
    assert mark.number == 2**63
    mark.close()
