"""How far a shutdown is to have come: by signals, by an operator's request, and by the time."""

import math
import time

import pytest

from django_tasks_q.lifecycle import WorkerRequest
from django_tasks_q.worker.shutdown import Phase, Shutdown, ShutdownSignals
from tests.waiting import LIMIT

LONG = 1_000.0


@pytest.fixture
def shutdown() -> Shutdown:
    return Shutdown(ShutdownSignals(), LONG)


def test_without_a_signal_or_a_request_a_worker_runs(shutdown: Shutdown) -> None:
    shutdown.ask(None)
    assert (shutdown.wanted(), shutdown.has_begun, shutdown.due_at) == (Phase.RUNNING, False, math.inf)


def test_the_first_signal_sets_the_deadline_and_the_second_is_one(shutdown: Shutdown) -> None:
    shutdown.signals.count = 1
    assert shutdown.wanted() is Phase.DRAINING
    deadline = shutdown.deadline
    assert LONG - LIMIT < deadline - time.monotonic() <= LONG
    # Nothing waits for it before the worker drains.
    assert shutdown.due_at == math.inf
    shutdown.enter(Phase.DRAINING)
    assert (shutdown.wanted(), shutdown.has_begun, shutdown.due_at) == (Phase.DRAINING, True, deadline)
    shutdown.signals.count = 2
    assert (shutdown.wanted(), shutdown.due_at) == (Phase.STOPPING, math.inf)


def test_a_deadline_may_pass(shutdown: Shutdown) -> None:
    shutdown.timeout = 0.0
    shutdown.signals.count = 1
    assert shutdown.wanted() is Phase.STOPPING


def test_a_worker_that_is_asked_to_drain_has_no_deadline_until_a_signal_comes(shutdown: Shutdown) -> None:
    shutdown.ask(WorkerRequest.DRAIN)
    assert (shutdown.wanted(), shutdown.deadline) == (Phase.DRAINING, math.inf)
    # A heartbeat that finds nothing new takes nothing back.
    shutdown.ask(None)
    shutdown.signals.count = 1
    assert shutdown.wanted() is Phase.DRAINING
    assert shutdown.deadline < math.inf
    shutdown.ask(WorkerRequest.STOP)
    assert shutdown.wanted() is Phase.STOPPING
