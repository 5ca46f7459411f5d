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
from django_tasks_q.worker.child.interruption import SOON, Interruption
from django_tasks_q.worker.wire.tokens import CANCEL_SIGNAL, TokenPipe
from tests.waiting import LIMIT

COUNT = 2_000


@pytest.fixture
def numbers() -> Iterator[TokenPipe]:
    pipe = TokenPipe.create()
    yield pipe
    pipe.close()


@pytest.fixture
def interruption(numbers: TokenPipe) -> Iterator[Interruption]:
    made = Interruption(numbers)
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


def run(interruption: Interruption, seq: int, seconds: float = 0.0001) -> str:
    interruption.begin(seq)
    try:
        return str(interruption.run(spin, seconds))
    except SoftCancel:
        return "cancelled"


def test_what_was_asked_for_before_it_began_is_cancelled(numbers: TokenPipe, interruption: Interruption) -> None:
    ask(numbers, 2)
    assert [run(interruption, seq) for seq in (1, 2, 3)] == ["done", "cancelled", "done"]


def test_what_is_over_is_not(numbers: TokenPipe, interruption: Interruption) -> None:
    assert run(interruption, 1) == "done"
    ask(numbers, 1)
    assert interruption.is_cancelled
    assert run(interruption, 2) == "done"
    assert not interruption.is_cancelled


def test_it_is_raised_once(numbers: TokenPipe, interruption: Interruption) -> None:
    caught = []

    def catch_twice() -> str:
        for _ in range(2):
            try:
                ask(numbers, 1)
                spin()
            except SoftCancel as error:
                caught.append(error)
        return "done"

    interruption.begin(1)
    assert interruption.run(catch_twice) == "done"
    assert len(caught) == 1


def test_logging_does_not_swallow_it(
    numbers: TokenPipe, interruption: Interruption, monkeypatch: pytest.MonkeyPatch
) -> None:
    current, asked = multiprocessing.current_process, []

    def slow() -> Any:
        # A record asks for the name of the process, and ignores whatever that raises.
        asked.append(time.monotonic())
        ask(numbers, 1)
        # Also when it is tried again.
        spin(2 * SOON)
        return current()

    def log() -> None:
        made = logging.LogRecord("name", logging.INFO, "path", 1, "message", (), None)
        assert made.processName == current().name
        threading.Event().wait(LIMIT)

    monkeypatch.setattr(multiprocessing, "current_process", slow)
    interruption.begin(1)
    with pytest.raises(SoftCancel):
        interruption.run(log)
    assert len(asked) == 1


def test_a_signal_without_a_number_does_nothing(interruption: Interruption) -> None:
    os.kill(os.getpid(), CANCEL_SIGNAL)
    assert run(interruption, 1) == "done"


def test_only_what_was_asked_for_is_cancelled_however_late(numbers: TokenPipe, interruption: Interruption) -> None:
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
            if run(interruption, running[0]) == "cancelled":
                cancelled.add(running[0])
    finally:
        over.set()
        thread.join()
    assert set() < cancelled < asked
    assert len(cancelled) < running[0]
