"""Which child gets which job: no process is started here."""

from collections.abc import Callable, Iterator
from socket import AF_UNIX, SOCK_STREAM, socket, socketpair

import pytest

from django_tasks_q.brokers import get_broker
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.worker.claiming.dispatcher import Dispatcher
from django_tasks_q.worker.pools.children import Child
from django_tasks_q.worker.pools.prefork import PreforkPool
from django_tasks_q.worker.wire.channels import FrameBuffer
from django_tasks_q.worker.wire.tokens import TokenPipe

from ..jobs import make_job

AddChild = Callable[..., Child]


@pytest.fixture
def dispatcher() -> Dispatcher:
    """A dispatcher that knows its task as a short one, and whose pool has no fork server."""
    dispatcher = Dispatcher(PreforkPool(Registry(get_broker("default"), Identity("test", [], [], 2))))
    for _ in range(100):
        dispatcher.times.note("tests.tasks.noop", 0.001)
    return dispatcher


@pytest.fixture
def add_child(dispatcher: Dispatcher) -> Iterator[AddChild]:
    """Add a child that is ready for as many jobs as it may run, if there is a limit."""
    ends: list[socket] = []
    pool = dispatcher.pool
    assert isinstance(pool, PreforkPool)

    def add(max_tasks: int | None = None) -> Child:
        ours, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        ends.append(theirs)
        number = len(ends)
        child = Child(number, FrameBuffer(ours), TokenPipe.create(), TokenPipe.create(), max_tasks, ready=True)
        return pool.children.setdefault(number, child)

    yield add
    pool.close()
    for end in ends:
        end.close()


def test_jobs_are_shared_out_among_those_that_are_free(dispatcher: Dispatcher, add_child: AddChild) -> None:
    children = [add_child(), add_child()]
    jobs = [make_job() for _ in range(6)]
    dispatcher.buffer.add(jobs)
    dispatcher.hand_out()
    assert [child.backlog.count for child in children] == [3, 3]
    assert dispatcher.held_ids() == [job.id for job in jobs]
    assert (dispatcher.running, dispatcher.is_empty, dispatcher.must_look_soon) == (2, False, True)


def test_who_is_free_gets_what_another_has_not_begun(dispatcher: Dispatcher, add_child: AddChild) -> None:
    first = add_child()
    dispatcher.buffer.add([make_job() for _ in range(5)])
    dispatcher.hand_out()
    assert first.tokens.take() == 1
    second = add_child()
    dispatcher.hand_out()
    assert [child.backlog.count for child in (first, second)] == [3, 2]


def test_also_of_one_that_has_as_many_as_it_may_run(dispatcher: Dispatcher, add_child: AddChild) -> None:
    first = add_child(max_tasks=3)
    dispatcher.buffer.add([make_job() for _ in range(3)])
    dispatcher.hand_out()
    assert first.tokens.take() == 1
    dispatcher.pool.collect()
    assert not first.takes_jobs
    second = add_child()
    dispatcher.hand_out()
    assert [child.backlog.count for child in (first, second)] == [1, 2]


def test_what_was_displaced_has_its_child_alone(dispatcher: Dispatcher, add_child: AddChild) -> None:
    first, second = add_child(), add_child()
    dispatcher.buffer.add([make_job(displaced=1), *(make_job() for _ in range(4))])
    dispatcher.hand_out()
    assert [child.backlog.count for child in (first, second)] == [1, 4]
