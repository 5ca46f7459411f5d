"""Whatever verb takes a job out of the live table, who listens is told in that transaction, on every database."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_tasks_q.brokers.base import Broker
from django_tasks_q.brokers.refusals import finish_one
from django_tasks_q.brokers.values import Ended
from django_tasks_q.models import Job, Queue, Result

from .conftest import Put, make_outcomes, make_spec
from .test_conformance import error

pytestmark = pytest.mark.django_db(transaction=True)


class Witness:
    """Remembers what it is told, and writes a row for each job: a queue with its name."""

    def __init__(self) -> None:
        self.told: list[list[Ended]] = []

    def __call__(self, broker: Broker, ended: Sequence[Ended]) -> None:
        self.told.append(list(ended))
        # All that the verb writes is there.
        assert Result.objects.filter(pk__in=[job.id for job in ended]).count() == len(ended)
        assert not Job.objects.filter(pk__in=[job.id for job in ended]).exists()
        assert connection.in_atomic_block
        for job in ended:
            Queue.objects.create(backend=broker.alias, name=job.id)

    def written(self) -> list[str]:
        return sorted(Queue.objects.values_list("name", flat=True))


@pytest.fixture
def witness(broker: Any, monkeypatch: pytest.MonkeyPatch) -> Witness:
    made = Witness()
    monkeypatch.setattr(broker, "ended_listeners", (made,), raising=False)
    return made


def finish(broker: Any, put: Put) -> Any:
    jobs = broker.claim("w1", "default", 3)
    broker.finish("w1", make_outcomes(jobs, "SUCCESSFUL", return_value="1"))
    return [(job.id, "default", "tests.tasks.noop", "SUCCESSFUL", True) for job in jobs]


def fail(broker: Any, put: Put) -> Any:
    jobs = broker.claim("w1", "default", 3)
    broker.finish("w1", [*make_outcomes(jobs[1:], "FAILED", error=error()), *make_outcomes(jobs[:1], "READY")])
    return [(job.id, "default", "tests.tasks.noop", "FAILED", True) for job in jobs[1:]]


def record_one(broker: Any, put: Put) -> Any:
    (job,) = broker.claim("w1", "default", 1)
    finish_one(broker, "w1", make_outcomes([job], "SUCCESSFUL")[0])
    return [(job.id, "default", "tests.tasks.noop", "SUCCESSFUL", True)]


def finish_again(broker: Any, put: Put) -> Any:
    (job,) = broker.claim("w1", "default", 1)
    broker.finish_instead("w1", make_outcomes([job], "SUCCESSFUL")[0])
    return [(job.id, "default", "tests.tasks.noop", "SUCCESSFUL", True)]


def cancel(broker: Any, put: Put) -> Any:
    (job,) = broker.claim("w1", "default", 1)
    ready = [str(key) for key in Job.objects.filter(status="READY").order_by("-id").values_list("id", flat=True)]
    assert broker.cancel([*ready, job.id]).asked == {job.id}
    return [(key, "default", "tests.tasks.noop", "CANCELLED", False) for key in ready]


def stop(broker: Any, put: Put) -> Any:
    first, second, third = broker.claim("w1", "default", 3)
    listeners, broker.ended_listeners = broker.ended_listeners, ()
    broker.cancel([first.id, third.id])
    broker.ended_listeners = listeners
    recorded = broker.finish("w1", make_outcomes([third, second, first], "READY"), skip_locked=True)
    assert recorded.retried == {second.id}
    return [(job.id, "default", "tests.tasks.noop", "CANCELLED", True) for job in (first, third)]


def end_released(broker: Any, put: Put) -> Any:
    (job,) = broker.claim("w1", "default", 1)
    assert broker.cancel([job.id]).asked
    broker.release("w1", [job])
    return [(job.id, "default", "tests.tasks.noop", "CANCELLED", True)]


VERBS: dict[str, Callable[[Any, Put], Any]] = {
    "finish": finish,
    "finish, failed": fail,
    "finish_one": record_one,
    "finish_instead": finish_again,
    "cancel": cancel,
    "finish, cancelled": stop,
    "release, cancelled": end_released,
}


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_that_ends_jobs_tells_of_them(broker: Any, put: Put, witness: Witness, verb: str) -> None:
    put(3)
    expected = sorted(VERBS[verb](broker, put))
    assert witness.told == [expected]
    assert witness.written() == sorted(row[0] for row in expected)
    assert Result.objects.count() == len(expected)


@pytest.mark.parametrize("verb", VERBS)
def test_an_error_of_a_listener_undoes_the_verb(broker: Any, put: Put, witness: Witness, verb: str) -> None:
    def refuse(broker: Broker, ended: Sequence[Ended]) -> None:
        raise ValueError("Not now.")

    put(3)
    broker.ended_listeners = (witness, refuse)
    with pytest.raises(ValueError, match="Not now"):
        VERBS[verb](broker, put)
    assert witness.told
    assert (witness.written(), Result.objects.count(), Job.objects.count()) == ([], 0, 3)


def test_nothing_is_told_of_jobs_that_stay(broker: Any, put: Put, witness: Witness) -> None:
    put(5)
    jobs = broker.claim("w1", "default", 5)
    broker.finish("w1", make_outcomes(jobs[:1], "READY") + make_outcomes(jobs[1:2], "SCHEDULED", retry_in=60))
    broker.release("w1", jobs[2:3])
    broker.set_aside("w1", make_outcomes(jobs[3:4], "FAILED")[0], "It is refused.")
    broker.cancel([jobs[4].id])
    broker.finish("w2", make_outcomes(jobs[4:], "FAILED"))
    broker.cancel([])
    assert witness.told == []


def test_a_requeued_job_ends_again(broker: Any, put: Put, witness: Witness) -> None:
    put(1)
    (first,) = finish(broker, put)
    broker.requeue([first[0]])
    Queue.objects.all().delete()
    assert finish(broker, put) == [first]
    assert witness.told == [[first], [first]]


def test_many_are_told_at_once_in_the_order_of_their_ids(broker: Any, put: Put, monkeypatch: Any) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(broker, "ended_listeners", (lambda _, ended: told.append([job.id for job in ended]),))
    ids = sorted(spec.id for spec in put(1_001))
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1_001)[::-1], "SUCCESSFUL"))
    assert told == [ids]


def test_listeners_of_the_class_are_heard_by_every_broker(broker: Any, other: Any, put: Put, monkeypatch: Any) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Broker, "ended_listeners", (lambda broker, _: heard.append(broker.alias),))
    for each in (broker, other):
        each.enqueue([make_spec()])
        finish(each, put)
    assert heard == ["default", "other"]


def test_it_costs_no_statement_while_nobody_listens(broker: Any, put: Put, witness: Witness) -> None:
    counts = []
    for listeners in ((), (lambda _, ended: None,)):
        put(3)
        broker.ended_listeners = listeners
        jobs = broker.claim("w1", "default", 3)
        with CaptureQueriesContext(connection) as queries:
            broker.finish("w1", make_outcomes(jobs, "SUCCESSFUL"))
        counts.append(len(queries))
    assert counts[1] == counts[0] + 1
