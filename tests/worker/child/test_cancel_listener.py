"""The signal that cancels, at every moment of a job: before it begins, while it runs, when it is over."""

import logging
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from django_tasks_q.exceptions import SoftCancel
from django_tasks_q.worker.child.cancel_listener import CancelListener
from django_tasks_q.worker.child.interruption import SOON
from django_tasks_q.worker.child.outbox import Outbox
from django_tasks_q.worker.child.run_scope import RunScope
from django_tasks_q.worker.wire.jobs import JobRow
from django_tasks_q.worker.wire.tokens import CANCEL_SIGNAL, TokenPipe
from tests.waiting import LIMIT

from ..jobs import make_job

JOB = make_job()
COUNT = 2_000


@pytest.fixture
def numbers() -> Iterator[TokenPipe]:
    pipe = TokenPipe.create()
    yield pipe
    pipe.close()


@pytest.fixture
def listener(numbers: TokenPipe) -> Iterator[CancelListener]:
    # As in a child, where the pipe's other end is another process's.
    made = CancelListener(TokenPipe(numbers.reader, None))
    before = signal.signal(CANCEL_SIGNAL, made.hear)
    yield made
    signal.signal(CANCEL_SIGNAL, before)


def ask(numbers: TokenPipe, seq: int) -> None:
    numbers.put([seq])
    os.kill(os.getpid(), CANCEL_SIGNAL)


def spin(seconds: float = 0.0001) -> str:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
    return "done"


def begin(listener: CancelListener, seq: int) -> RunScope:
    scope = RunScope(seq, JobRow.of(JOB, "default", 1.0, "worker-1", 0.0), Outbox())
    listener.begin(scope)
    return scope


def run(listener: CancelListener, seq: int) -> str:
    try:
        return str(begin(listener, seq).call(spin, (), {}))
    except SoftCancel:
        return "cancelled"


def test_what_was_asked_for_before_it_began_is_cancelled(numbers: TokenPipe, listener: CancelListener) -> None:
    ask(numbers, 2)
    assert [run(listener, seq) for seq in (1, 2, 3)] == ["done", "cancelled", "done"]


def test_what_is_over_is_not(numbers: TokenPipe, listener: CancelListener) -> None:
    first = begin(listener, 1)
    assert first.call(spin, (), {}) == "done"
    ask(numbers, 1)
    assert first.is_cancelled
    second = begin(listener, 2)
    assert second.call(spin, (), {}) == "done"
    assert not second.is_cancelled


def test_it_is_raised_once(numbers: TokenPipe, listener: CancelListener) -> None:
    caught = []

    def catch_twice() -> str:
        for _ in range(2):
            try:
                ask(numbers, 1)
                spin()
            except SoftCancel as error:
                caught.append(error)
        return "done"

    assert begin(listener, 1).call(catch_twice, (), {}) == "done"
    assert len(caught) == 1


def test_logging_does_not_swallow_it(
    numbers: TokenPipe, listener: CancelListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    current, heard = multiprocessing.current_process, []
    scope = begin(listener, 1)

    def slow() -> Any:
        # A record asks for the name of the process, and ignores whatever that raises.
        ask(numbers, 1)
        # Also when it is tried again.
        spin(2 * SOON)
        heard.append(scope.is_cancelled)
        return current()

    def log() -> None:
        made = logging.LogRecord("name", logging.INFO, "path", 1, "message", (), None)
        assert made.processName == current().name
        threading.Event().wait(LIMIT)

    monkeypatch.setattr(multiprocessing, "current_process", slow)
    with pytest.raises(SoftCancel):
        scope.call(log, (), {})
    # The task may ask before it is interrupted.
    assert heard == [True]


def test_a_signal_without_a_number_does_nothing(listener: CancelListener) -> None:
    os.kill(os.getpid(), CANCEL_SIGNAL)
    assert run(listener, 1) == "done"


def test_only_what_was_asked_for_is_cancelled_however_late(numbers: TokenPipe, listener: CancelListener) -> None:
    """Very many jobs, and somebody who cancels those around the running one at random, late or twice."""
    running, over = [0], threading.Event()
    asked: set[int] = set()
    cancelled: set[int] = set()

    def cancel() -> None:
        while not over.is_set():
            seq = max(1, running[0] + random.choice([-1, 0, 0, 0, 1, 2]))
            asked.add(seq)
            ask(numbers, seq)
            time.sleep(random.uniform(0, 0.0005))

    thread = threading.Thread(target=cancel)
    thread.start()
    deadline = time.monotonic() + LIMIT
    try:
        # Until some were cancelled, and some were not, however little time the thread was given.
        while running[0] < COUNT or (not set() < cancelled < asked and time.monotonic() < deadline):
            running[0] += 1
            if run(listener, running[0]) == "cancelled":
                cancelled.add(running[0])
    finally:
        over.set()
        thread.join()
    assert set() < cancelled < asked
    assert len(cancelled) < running[0]
