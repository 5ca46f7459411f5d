"""The parent's side of a pool: no process is started here."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from socket import AF_UNIX, SOCK_STREAM, socket, socketpair
from typing import Any

import pytest

from django_tasks_q.brokers import get_broker
from django_tasks_q.lifecycle import Ending
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.worker.pools.base import Announced, Asked, Finished, Lost
from django_tasks_q.worker.pools.children import Assigned, CancelledRun, Child
from django_tasks_q.worker.pools.exits import GARBLED, STOPPED, TIMED_OUT, UNCANCELLED, Kill, too_large
from django_tasks_q.worker.pools.fork_server import ForkServer
from django_tasks_q.worker.pools.prefork import PreforkPool
from django_tasks_q.worker.sleep import wait_for_any
from django_tasks_q.worker.wire.channels import FrameBuffer
from django_tasks_q.worker.wire.frames import Limit, Run, encode_begin, encode_limit, encode_ready
from django_tasks_q.worker.wire.tokens import TokenPipe

from ..jobs import make_job


@pytest.fixture
def ends() -> Iterator[tuple[socket, socket]]:
    """The parent's end and the other one."""
    ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def child(ends: tuple[socket, socket]) -> Iterator[Child]:
    child = Child(1, FrameBuffer(ends[0]), TokenPipe.create(), TokenPipe.create(), pid=4_000_000, ready=True)
    yield child
    child.hang_up()


@pytest.fixture
def pool(child: Child) -> PreforkPool:
    """A pool that has a child, and no fork server."""
    registry = Registry(get_broker("default"), Identity("test", [], [], 1))
    pool = PreforkPool(registry)
    pool.children[child.number] = child
    return pool


def test_what_has_ended_in_time_is_not_killed_although_that_is_read_later(
    pool: PreforkPool, child: Child, ends: tuple[socket, socket]
) -> None:
    first, second = make_job(), make_job()
    pool.assign(child, [first, second])
    limit = Limit(1, time.monotonic() - 10.0, 1.0, retry=False, retry_in=0.0)
    ends[1].sendall(encode_ready() + encode_limit(limit))
    assert pool.collect() == []
    run = Run(1, 10.0, 10.5, Ending.SUCCESS)
    ends[1].sendall(run.encode())

    assert pool.due_at <= time.monotonic()
    (ended,) = pool.collect()
    assert isinstance(ended, Finished)
    assert (ended.job, ended.run) == (first, run)
    pool.enforce_limits()
    assert (child.killed_for, [assigned.job for assigned in child.assigned.values()]) == (None, [second])


def test_what_is_over_its_limit_is_killed_for_it(pool: PreforkPool, child: Child) -> None:
    child.add([Assigned(1, make_job(), 0.0)])
    now = time.monotonic()
    child.limit = Limit(1, now + 100.0, 1.0, retry=False, retry_in=0.0)
    child.cancelled = CancelledRun(1, now - 1.0)
    pool.enforce_limits()
    assert (child.killed_for, child.exceeded) == (UNCANCELLED, None)
    child.killed_for, child.limit = None, Limit(1, now - 5.0, 1.0, retry=False, retry_in=0.0)
    pool.enforce_limits()
    assert (child.killed_for, child.exceeded) == (TIMED_OUT, child.limit)
    assert child.busy_for(now) == 5.0
    assert pool.due_at > time.monotonic()


@pytest.mark.parametrize("kill", [None, TIMED_OUT, UNCANCELLED, GARBLED, STOPPED, too_large("1 GB")])
def test_what_a_child_takes_with_it_ends_as_the_child_did(child: Child, kill: Kill | None) -> None:
    limit = Limit(1, 0.0, 1.0, retry=False, retry_in=0.0)
    child.killed_for, child.exceeded = kill, limit if kill is TIMED_OUT else None
    job, ending = make_job(), kill.ending if kill else Ending.LOST
    assert child.end_of(Assigned(1, job, 0.0), "died", 2.0) == Lost(job, ending, "died", 2.0, child.exceeded)


def test_the_job_after_the_one_over_its_limit_is_lost_with_the_child(child: Child) -> None:
    child.killed_for, child.exceeded = TIMED_OUT, Limit(1, 0.0, 1.0, retry=False, retry_in=0.0)
    job = make_job()
    assert child.end_of(Assigned(2, job, 0.0), "died", 2.0) == Lost(job, Ending.LOST, "died", 2.0)


def test_news_that_a_child_has_not_begun_is_not_lost(
    pool: PreforkPool, child: Child, ends: tuple[socket, socket]
) -> None:
    job = make_job()
    pool.announce(job, "{}")
    assert pool.take_back(child) == []
    assert not child.assigned
    pool.collect()
    (assigned,) = child.assigned.values()
    assert (assigned.job, assigned.news) == (job, "{}")
    ends[1].sendall(Run(assigned.seq, 0.0, 0.0, Ending.ERROR).encode())
    assert pool.collect() == [Announced(job)]


def test_what_was_displaced_begins_once_its_start_is_recorded(
    pool: PreforkPool, child: Child, ends: tuple[socket, socket]
) -> None:
    job = make_job(displaced=1)
    pool.assign(child, [job])
    assert (child.takes_jobs, child.tokens.take()) == (False, 1)
    ends[1].sendall(encode_begin(1))
    assert pool.collect() == [Asked(job)]
    assert pool.take_back(child) == []
    pool.note_begun({job.id})
    pool.note_begun({job.id})
    assert child.tokens.take_back() == [1]


def test_who_runs_what_is_to_be_cancelled_gets_no_other_job(pool: PreforkPool, child: Child) -> None:
    first, second, third = make_job(), make_job(), make_job()
    pool.assign(child, [first, second])
    assert child.tokens.take() == 1
    assert pool.cancel({third.id}) == []
    assert child.takes_jobs
    assert pool.cancel({first.id, third.id}) == [second]
    assert (child.takes_jobs, child.cancels.take(), list(pool.jobs())) == (False, 1, [first])
    until = child.kill_at
    assert pool.cancel({first.id}) == []
    assert (child.kill_at, child.cancels.take_back()) == (until, [])


def test_nothing_comes_back_of_what_was_abandoned(
    pool: PreforkPool, child: Child, ends: tuple[socket, socket]
) -> None:
    pool.assign(child, [make_job()])
    pool.abandon_running()
    ends[1].sendall(Run(1, 10.0, 10.5, Ending.SUCCESS).encode())
    assert pool.collect() == []
    assert (list(pool.jobs()), child.killed_for) == ([], STOPPED)


def test_more_is_asked_of_the_fork_server_than_it_reads_at_once(ends: tuple[socket, socket]) -> None:
    """It imports the project first; 270 requests fill the socket, and the supervisor does not wait for that."""
    ours, theirs = ends
    ours.setblocking(False)
    server, spawned = ForkServer(0, ours), 1_000
    for pid in range(spawned):
        server.kill(pid)
    assert server.has_output

    def serve() -> int:
        found = b""
        while found.count(b"\n") < spawned:
            found += theirs.recv(4_096)
            theirs.sendall(b'{"spawned": 1, "pid": 2}\n')
        return found.count(b"\n")

    with ThreadPoolExecutor() as executor:
        serving: Any = executor.submit(serve)
        heard = []
        while server.has_output or not serving.done():
            wait_for_any([(ours.fileno(), server.has_output)], 0.1)
            server.flush()
            # Who does not read what it says keeps it from reading.
            heard += server.receive()
        assert serving.result() == spawned
    assert {"spawned": 1, "pid": 2} in [*heard, *server.receive()]
