"""What every broker guarantees, on every database."""

import json
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import ClaimedJob
from django_tasks_q.lifecycle import Ending
from django_tasks_q.models import Job, Queue, Result
from django_tasks_q.moments import to_aware, to_stored

from .conftest import Put, make_outcomes, make_spec

pytestmark = pytest.mark.django_db

ERROR = {"exception": "builtins.ValueError", "traceback": 'Traceback: it\'s 100% "wrong" \\ é\n', "worker": "w1"}


def ids(items: Iterable[Any]) -> list[str]:
    return [str(item.id) for item in items]


def error(number: int = 1) -> str:
    return json.dumps(ERROR | {"attempt": number})


# enqueue


def test_enqueue_stores_each_field_as_it_is(broker: Any) -> None:
    spec = make_spec(
        queue_name='it\'s a "queue"',
        priority=-100,
        task_path="shop.tasks.send",
        args='[1, "it\'s 100% %s \\\\ é 👍"]',
        kwargs='{"b": null, "a": 1e16}',
        options='{"timeout": 3.5}',
        metadata='{"k": [true]}',
    )
    broker.enqueue([spec])
    job = Job.objects.get()
    assert (str(job.id), job.queue_name, job.priority, job.task_path) == (
        spec.id,
        spec.queue_name,
        -100,
        "shop.tasks.send",
    )
    assert job.args == [1, "it's 100% %s \\ é 👍"]
    assert (job.kwargs, job.options, job.metadata) == ({"b": None, "a": 1e16}, {"timeout": 3.5}, {"k": [True]})
    assert (job.backend, job.status, job.attempt, job.failures, job.losses) == ("default", "READY", 0, 0, 0)
    assert (job.errors, job.reason, job.worker_id, job.started_at) == ([], "", None, None)
    assert job.enqueued_at == spec.enqueued_at


def test_many_are_stored_as_one_is(broker: Any) -> None:
    specs = [make_spec(args=f'["%s \\"{number}\\" é"]', priority=number % 7 - 3) for number in range(2_050)]
    broker.enqueue(specs)
    assert ids(Job.objects.order_by("id")) == ids(specs)
    assert [job.args for job in Job.objects.order_by("id")] == [[f'%s "{number}" é'] for number in range(2_050)]


def test_nothing_is_nothing(broker: Any) -> None:
    broker.enqueue([])
    assert not Job.objects.exists()


def test_a_job_for_later_is_scheduled(put: Put, broker: Any) -> None:
    now = timezone.now()
    (later,) = put(run_after=now + timedelta(hours=1))
    (past,) = put(run_after=now - timedelta(hours=1))
    assert Job.objects.get(id=later.id).status == "SCHEDULED"
    assert Job.objects.get(id=later.id).run_after == later.run_after
    assert Job.objects.get(id=past.id).status == "READY"
    assert ids(broker.claim("w1", "default", 9)) == [past.id]


# claim


def test_claim_makes_a_job_the_workers(broker: Any, put: Put) -> None:
    (spec,) = put(args='[1, "é"]', kwargs='{"a": {}}', metadata='{"m": 1}', options='{"timeout": 3}', priority=4)
    before = broker.dialect.now()
    (job,) = broker.claim("w1", "default", 5)
    assert isinstance(job, ClaimedJob)
    assert (job.id, job.queue_name, job.priority, job.task_path) == (spec.id, "default", 4, "tests.tasks.noop")
    assert [json.loads(text) for text in (job.args, job.kwargs, job.metadata, job.options, job.errors)] == [
        [1, "é"],
        {"a": {}},
        {"m": 1},
        {"timeout": 3},
        [],
    ]
    assert (job.attempt, job.failures, job.losses, job.run_after) == (1, 0, 0, None)
    assert job.enqueued_at == spec.enqueued_at
    assert job.started_at is None
    row = Job.objects.get()
    assert (row.status, row.worker_id, row.attempt) == ("RUNNING", "w1", 1)
    assert before <= row.started_at <= broker.dialect.now()
    assert abs(row.last_attempted_at - row.started_at) < timedelta(seconds=1)


def test_payloads_are_passed_on_as_text(broker: Any, put: Put) -> None:
    put(args='[1e16, "a"]')
    (job,) = broker.claim("w1", "default", 1)
    assert isinstance(job.args, str)
    assert json.loads(job.args) == [1e16, "a"]
    assert isinstance(json.loads(job.args)[0], float)


def test_claim_takes_by_priority_then_by_age(broker: Any, put: Put) -> None:
    low, high, middle = put(2, priority=-5), put(2, priority=50), put(2, priority=0)
    expected = ids([*high, *middle, *low])
    assert ids(broker.claim("w1", "default", 3)) == expected[:3]
    assert ids(broker.claim("w1", "default", 9)) == expected[3:]


def test_claim_takes_no_more_than_the_limit(broker: Any, put: Put) -> None:
    specs = put(25)
    assert [len(broker.claim("w1", "default", limit)) for limit in (10, 10, 10, 10)] == [10, 10, 5, 0]
    assert Job.objects.filter(status="RUNNING").count() == len(specs)


def test_claim_takes_from_one_queue(broker: Any, put: Put) -> None:
    put(2, queue_name="a")
    wanted = put(2, queue_name="b")
    assert ids(broker.claim("w1", "b", 9)) == ids(wanted)
    assert broker.claim("w1", "nothing", 9) == []


def test_a_backend_claims_its_own_jobs_only(broker: Any, other: Any, put: Put) -> None:
    put(2)
    theirs = [make_spec() for _ in range(2)]
    other.enqueue(theirs)
    assert ids(other.claim("w1", "default", 9)) == ids(theirs)
    assert len(broker.claim("w1", "default", 9)) == 2


def test_a_paused_queue_gives_nothing_until_it_is_resumed(broker: Any, put: Put) -> None:
    put(2)
    free = put(1, queue_name="free")
    Queue.objects.create(name="default", paused=True)
    Queue.objects.create(name="free", paused=False)
    assert broker.claim("w1", "default", 9) == []
    assert ids(broker.claim("w1", "free", 9)) == ids(free)
    Queue.objects.update(paused=False)
    assert len(broker.claim("w1", "default", 9)) == 2


def test_a_queue_that_another_backend_has_paused_runs(broker: Any, put: Put) -> None:
    put(1)
    Queue.objects.create(backend="other", name="default", paused=True)
    assert len(broker.claim("w1", "default", 9)) == 1


def test_claim_leaves_what_waits(broker: Any, put: Put) -> None:
    waiting, *ready = put(3)
    Job.objects.filter(id=waiting.id).update(status="WAITING")
    put(1, run_after=timezone.now() + timedelta(hours=1))
    assert ids(broker.claim("w1", "default", 9)) == ids(ready)


def test_awkward_names_are_only_names(settings: Any, broker: Any) -> None:
    alias = 'it\'s 100% "odd" \\ %s'
    settings.TASKS = {**settings.TASKS, alias: settings.TASKS["default"]}
    odd = get_broker(alias)
    specs = [make_spec(queue_name="q'%s\"") for _ in range(3)]
    odd.enqueue(specs[:1])
    odd.enqueue(specs[1:])
    assert odd.ready_queues() == ["q'%s\""]
    jobs = odd.claim("w'1%s\"", "q'%s\"", 9)
    assert ids(jobs) == ids(specs)
    assert set(odd.finish("w'1%s\"", make_outcomes(jobs, "SUCCESSFUL")).finished) == set(ids(specs))


# ready_queues


def test_ready_queues_are_those_with_ready_jobs(broker: Any, other: Any, put: Put) -> None:
    assert broker.ready_queues() == []
    for name in ("b", "a", "c", "ab", "b"):
        put(3, queue_name=name)
    put(1, queue_name="later", run_after=timezone.now() + timedelta(hours=1))
    put(1, queue_name="taken")
    broker.claim("w1", "taken", 1)
    other.enqueue([make_spec(queue_name="theirs")])
    assert sorted(broker.ready_queues()) == ["a", "ab", "b", "c"]
    broker.claim("w1", "ab", 9)
    assert sorted(broker.ready_queues()) == ["a", "b", "c"]


def test_ready_queues_may_be_some_only(broker: Any, put: Put) -> None:
    for name in ("a", "b", "c", "it's %s"):
        put(2, queue_name=name)
    Queue.objects.create(name="b", paused=True)
    Queue.objects.create(name="c", paused=False)
    Queue.objects.create(name="c", paused=True, backend="theirs")
    assert sorted(broker.ready_queues()) == ["a", "b", "c", "it's %s"]
    assert sorted(broker.ready_queues(paused=False)) == ["a", "c", "it's %s"]
    assert sorted(broker.ready_queues(among=["b", "c", "it's %s", "none"])) == ["b", "c", "it's %s"]
    assert broker.ready_queues(among=["b", "c"], paused=False) == ["c"]
    assert broker.ready_queues(among=["none"]) == []


def test_very_many_queues_may_be_ready(broker: Any) -> None:
    names = [f"queue {number:04}" for number in range(1_200)]
    broker.enqueue([make_spec(queue_name=name) for number, name in enumerate(names) for _ in range(1 + number % 3)])
    assert sorted(broker.ready_queues()) == names
    assert sorted(broker.ready_queues(among=names[::5])) == names[::5]
    with CaptureQueriesContext(connection) as asked:
        assert sorted(broker.ready_queues(paused=False)) == names
    assert len(asked) <= 25


# finish


def test_a_success_moves_to_the_history(broker: Any, put: Put) -> None:
    (spec,) = put(args='["é"]', metadata='{"m": 1}', options='{"timeout": 3}', priority=7, queue_name="mail")
    jobs = broker.claim("w1", "mail", 1)
    (outcome,) = make_outcomes(jobs, "SUCCESSFUL", return_value='{"it\'s": ["100% \\\\ é", 1e16]}')
    recorded = broker.finish("w1", [outcome])
    assert (recorded.finished, recorded.retried) == ({spec.id}, frozenset())
    assert spec.id in recorded
    assert not Job.objects.exists()
    row = Result.objects.get()
    assert (str(row.id), row.backend, row.queue_name, row.priority) == (spec.id, "default", "mail", 7)
    assert (row.task_path, row.args, row.kwargs) == ("tests.tasks.noop", ["é"], {})
    assert (row.metadata, row.options) == ({"m": 1}, {"timeout": 3})
    assert (row.status, row.attempt, row.failures, row.losses) == ("SUCCESSFUL", 1, 0, 0)
    assert (row.worker_id, row.errors, row.reason) == ("w1", [], "")
    assert row.return_value == {"it's": ["100% \\ é", 1e16]}
    assert row.enqueued_at == spec.enqueued_at
    assert (row.started_at, row.last_attempted_at) == (outcome.started_at, outcome.started_at)
    assert row.finished_at == outcome.finished_at


def test_a_failure_keeps_its_error(broker: Any, put: Put) -> None:
    put()
    jobs = broker.claim("w1", "default", 1)
    broker.finish("w1", make_outcomes(jobs, "FAILED", error=error(), ending=Ending.ERROR, reason="It's over"))
    row = Result.objects.get()
    assert (row.status, row.failures, row.losses, row.return_value) == ("FAILED", 1, 0, None)
    assert (row.errors, row.reason) == ([ERROR | {"attempt": 1}], "It's over")


@pytest.mark.parametrize(
    ("text", "value"), [("null", None), (None, None), ("[]", []), ('""', ""), ("0", 0), ("false", False)]
)
def test_return_values_of_little_substance(broker: Any, put: Put, text: str | None, value: Any) -> None:
    put()
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), "SUCCESSFUL", return_value=text))
    found = Result.objects.get().return_value
    assert found == value
    assert type(found) is type(value)


def test_a_retry_now_is_ready_again(broker: Any, put: Put) -> None:
    (spec,) = put()
    (first,) = broker.claim("w1", "default", 1)
    began_at = Job.objects.get().started_at
    recorded = broker.finish("w1", make_outcomes([first], "READY", error=error(), ending=Ending.ERROR, reason="again"))
    assert (recorded.finished, recorded.retried) == (frozenset(), {spec.id})
    row = Job.objects.get()
    assert (row.status, row.attempt, row.failures, row.losses) == ("READY", 1, 1, 0)
    assert (row.worker_id, row.errors, row.reason) == (None, [ERROR | {"attempt": 1}], "again")
    (second,) = broker.claim("w2", "default", 1)
    assert (second.attempt, second.failures, json.loads(second.errors)) == (2, 1, [ERROR | {"attempt": 1}])
    assert second.started_at == began_at
    row.refresh_from_db()
    assert (row.reason, row.worker_id) == ("", "w2")
    assert row.started_at == began_at < row.last_attempted_at


def test_a_retry_later_is_scheduled_from_its_end(broker: Any, put: Put) -> None:
    put()
    (outcome,) = make_outcomes(
        broker.claim("w1", "default", 1), "SCHEDULED", error=error(), ending=Ending.ERROR, retry_in=90.5
    )
    broker.finish("w1", [outcome])
    row = Job.objects.get()
    assert (row.status, row.run_after) == ("SCHEDULED", None)
    assert row.due_at == outcome.finished_at + timedelta(seconds=90.5)
    assert broker.claim("w1", "default", 1) == []
    assert 30 < broker.next_due() <= 90.5


def test_a_loss_is_counted_apart(broker: Any, put: Put) -> None:
    put()
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), "READY", error=error(), ending=Ending.LOST))
    (job,) = broker.claim("w1", "default", 1)
    assert (job.attempt, job.failures, job.losses) == (2, 0, 1)
    broker.finish("w1", make_outcomes([job], "FAILED", error=error(2), ending=Ending.LOST))
    row = Result.objects.get()
    assert (row.attempt, row.failures, row.losses, len(row.errors)) == (2, 0, 2, 2)


@pytest.mark.parametrize(("status", "ending"), [("READY", Ending.LOST), ("FAILED", Ending.ERROR)])
def test_a_run_is_recorded_over_errors_that_are_damaged(broker: Any, put: Put, status: str, ending: Ending) -> None:
    (spec,) = put()
    Job.objects.update(errors={"damaged": True})
    jobs = broker.claim("w1", "default", 1)
    recorded = broker.finish("w1", make_outcomes(jobs, status, error=error(), ending=ending))
    assert spec.id in recorded


def test_many_large_arguments_are_stored_together(broker: Any) -> None:
    large = json.dumps(["x" * 700_000])
    specs = [make_spec(args=large) for _ in range(8)]
    with broker.transaction():
        broker.enqueue(specs)
    assert set(ids(Job.objects.all())) == {spec.id for spec in specs}


def test_the_history_begins_with_the_first_attempt(broker: Any, put: Put) -> None:
    put()
    (first,) = broker.claim("w1", "default", 1)
    began_at = Job.objects.get().started_at
    broker.finish("w1", make_outcomes([first], "READY", ending=Ending.ERROR))
    (outcome,) = make_outcomes(broker.claim("w1", "default", 1), "SUCCESSFUL")
    broker.finish("w1", [outcome])
    row = Result.objects.get()
    assert (row.started_at, row.last_attempted_at) == (began_at, outcome.started_at)


def test_a_batch_of_every_kind_at_once(broker: Any, put: Put) -> None:
    put(40)
    jobs = broker.claim("w1", "default", 40)
    done, failed, again, later = jobs[:10], jobs[10:20], jobs[20:30], jobs[30:]
    recorded = broker.finish(
        "w1",
        [
            *make_outcomes(later, "SCHEDULED", retry_in=60, ending=Ending.ERROR, error=error()),
            *make_outcomes(done, "SUCCESSFUL", return_value="1"),
            *make_outcomes(again, "READY", ending=Ending.LOST, error=error()),
            *make_outcomes(failed, "FAILED", ending=Ending.ERROR, error=error()),
        ],
    )
    assert recorded.finished == {*ids(done), *ids(failed)}
    assert recorded.retried == {*ids(again), *ids(later)}
    assert {*ids(Result.objects.filter(status="SUCCESSFUL"))} == {*ids(done)}
    assert {*ids(Result.objects.filter(status="FAILED"))} == {*ids(failed)}
    assert {*ids(Job.objects.filter(status="READY", losses=1))} == {*ids(again)}
    assert {*ids(Job.objects.filter(status="SCHEDULED", failures=1))} == {*ids(later)}


def test_a_batch_may_be_large(broker: Any, put: Put) -> None:
    put(3_000)
    jobs = broker.claim("w1", "default", 3_000)
    assert len(broker.finish("w1", make_outcomes(jobs, "SUCCESSFUL", return_value='"é"')).finished) == 3_000


@pytest.mark.only_on("postgresql")
def test_a_claim_can_begin_behind_some_jobs(broker: Any, put: Put) -> None:
    jobs = {priority: put(4, priority=priority) for priority in (9, 5, 3, 0, -2)}
    after = [(5, jobs[5][1].id), (0, jobs[0][2].id)]
    expected = [*jobs[9], *jobs[5][2:], *jobs[3], jobs[0][3], *jobs[-2]]
    ids = [spec.id for spec in expected]

    assert [job.id for job in broker.claim("w1", "default", 7, after=after)] == ids[:7]
    assert [job.id for job in broker.claim("w1", "default", 100, after=after)] == ids[7:]
    left = [job.id for job in broker.claim("w1", "default", 100)]
    assert left == [spec.id for spec in [*jobs[5][:2], *jobs[0][:3]]]


def test_nothing_to_finish_is_nothing(broker: Any) -> None:
    recorded = broker.finish("w1", [])
    assert (recorded.finished, recorded.retried) == (frozenset(), frozenset())


def test_large_return_values_pass_together(broker: Any, put: Put) -> None:
    put(30)
    value = json.dumps("é" * 500_000, ensure_ascii=False)
    jobs = broker.claim("w1", "default", 30)
    assert len(broker.finish("w1", make_outcomes(jobs, "SUCCESSFUL", return_value=value)).finished) == 30
    assert {len(row.return_value) for row in Result.objects.all()} == {500_000}


def test_a_long_reason_is_cut(broker: Any, put: Put) -> None:
    put(2)
    first, second = broker.claim("w1", "default", 2)
    broker.finish("w1", make_outcomes([first], "FAILED", reason="é" * 900))
    broker.finish("w1", make_outcomes([second], "READY", reason="é" * 900))
    assert (len(Result.objects.get().reason), len(Job.objects.get().reason)) == (500, 500)


# The fence


@pytest.mark.parametrize("status", ["SUCCESSFUL", "FAILED", "READY", "SCHEDULED"])
@pytest.mark.parametrize("wrong", ["another worker", "an earlier attempt", "a later attempt", "not running", "gone"])
def test_what_is_not_the_workers_any_more_is_left_alone(broker: Any, put: Put, status: str, wrong: str) -> None:
    specs = put(2)
    jobs = broker.claim("w1", "default", 2)
    if wrong == "not running":
        Job.objects.filter(id=specs[0].id).update(status="READY")
    if wrong == "gone":
        Job.objects.filter(id=specs[0].id).delete()
    change = {"an earlier attempt": -1, "a later attempt": 1}.get(wrong, 0)
    before = list(Job.objects.filter(id=specs[0].id).values())
    outcomes = make_outcomes(jobs, status, error=error(), ending=Ending.ERROR, retry_in=5)
    stale = outcomes[0]._replace(attempt=outcomes[0].attempt + change)
    recorded = broker.finish("w2" if wrong == "another worker" else "w1", [stale])
    assert (recorded.finished, recorded.retried) == (frozenset(), frozenset())
    assert stale.id not in recorded
    assert list(Job.objects.filter(id=specs[0].id).values()) == before
    assert not Result.objects.exists()
    assert specs[1].id in broker.finish("w1", [stale, outcomes[1]])


def test_a_worker_that_was_taken_for_dead_cannot_record_anything(broker: Any, put: Put) -> None:
    put()
    (slow,) = broker.claim("w1", "default", 1)
    broker.finish("w1", make_outcomes([slow], "READY", ending=Ending.LOST))
    (fast,) = broker.claim("w2", "default", 1)
    assert not broker.finish("w1", make_outcomes([slow], "SUCCESSFUL")).finished
    assert broker.finish("w2", make_outcomes([fast], "SUCCESSFUL", return_value='"fast"')).finished
    assert not broker.finish("w1", make_outcomes([slow], "SUCCESSFUL", return_value='"slow"')).finished
    assert Result.objects.get().return_value == "fast"


def test_the_same_worker_cannot_finish_twice(broker: Any, put: Put) -> None:
    put()
    outcomes = make_outcomes(broker.claim("w1", "default", 1), "SUCCESSFUL")
    assert len(broker.finish("w1", outcomes).finished) == 1
    assert len(broker.finish("w1", outcomes).finished) == 0


def test_the_same_outcome_twice_in_a_batch_is_recorded_once(broker: Any, put: Put) -> None:
    put()
    outcomes = make_outcomes(broker.claim("w1", "default", 1), "SUCCESSFUL")
    assert len(broker.finish("w1", [*outcomes, *outcomes]).finished) == 1
    assert Result.objects.count() == 1


def test_finish_is_part_of_the_callers_transaction(broker: Any, put: Put) -> None:
    put(2)
    jobs = broker.claim("w1", "default", 2)
    with transaction.atomic():
        broker.finish("w1", [*make_outcomes(jobs[:1], "SUCCESSFUL"), *make_outcomes(jobs[1:], "READY")])
        transaction.set_rollback(True)
    assert not Result.objects.exists()
    assert Job.objects.filter(status="RUNNING").count() == 2


def test_is_recorded_knows_the_very_run(broker: Any, put: Put) -> None:
    put()
    (outcome,) = make_outcomes(broker.claim("w1", "default", 1), "SUCCESSFUL")
    assert not broker.is_recorded("w1", outcome)
    broker.finish("w1", [outcome])
    assert broker.is_recorded("w1", outcome)
    assert not broker.is_recorded("w2", outcome)
    assert not broker.is_recorded("w1", outcome._replace(attempt=2))


# Errors are bounded


def test_the_oldest_errors_make_room(settings: Any, broker: Any, put: Put) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"max_errors": 3}}}
    bounded = get_broker("default")
    bounded.enqueue([make_spec()])
    for number in range(1, 6):
        jobs = bounded.claim("w1", "default", 1)
        bounded.finish("w1", make_outcomes(jobs, "READY", error=error(number), ending=Ending.ERROR))
    assert [entry["attempt"] for entry in Job.objects.get().errors] == [3, 4, 5]
    jobs = bounded.claim("w1", "default", 1)
    bounded.finish("w1", make_outcomes(jobs, "FAILED", error=error(6), ending=Ending.ERROR))
    row = Result.objects.get()
    assert [entry["attempt"] for entry in row.errors] == [4, 5, 6]
    assert (row.attempt, row.failures) == (6, 6)


def test_an_end_without_an_error_keeps_the_earlier_ones(broker: Any, put: Put) -> None:
    put()
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), "READY", error=error(), ending=Ending.ERROR))
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), "SUCCESSFUL"))
    assert [entry["attempt"] for entry in Result.objects.get().errors] == [1]


# release


def test_release_charges_nothing(broker: Any, put: Put) -> None:
    (spec,) = put()
    jobs = broker.claim("w1", "default", 1)
    assert len(broker.release("w1", jobs, reason="shutting down").retried) == 1
    row = Job.objects.get()
    assert (row.status, row.attempt, row.failures, row.losses, row.worker_id) == ("READY", 0, 0, 0, None)
    assert (row.started_at, row.errors, row.reason) == (None, [], "shutting down")
    (job,) = broker.claim("w2", "default", 1)
    assert (job.id, job.attempt) == (spec.id, 1)


def test_release_of_a_later_attempt_keeps_the_first_start(broker: Any, put: Put) -> None:
    put()
    (first,) = broker.claim("w1", "default", 1)
    began_at = Job.objects.get().started_at
    broker.finish("w1", make_outcomes([first], "READY", ending=Ending.ERROR))
    broker.release("w1", broker.claim("w1", "default", 1))
    row = Job.objects.get()
    assert (row.attempt, row.failures, row.started_at) == (1, 1, began_at)


def test_release_takes_only_what_is_the_workers(broker: Any, put: Put) -> None:
    put(3)
    jobs = broker.claim("w1", "default", 3)
    broker.finish("w1", make_outcomes(jobs[:1], "SUCCESSFUL"))
    assert len(broker.release("w2", jobs).retried) == 0
    assert len(broker.release("w1", jobs).retried) == 2
    assert len(broker.release("w1", jobs).retried) == 0
    assert len(broker.release("w1", []).retried) == 0


# held_by


def test_held_by_are_the_workers_running_jobs(broker: Any, put: Put) -> None:
    put(5)
    mine, theirs = broker.claim("w1", "default", 3), broker.claim("w2", "default", 2)
    assert broker.held_by("w1") == mine
    assert ids(broker.held_by("w2")) == ids(theirs)
    assert broker.held_by("w3") == []
    assert ids(broker.held_by("w1", but=[mine[1].id])) == ids([mine[0], mine[2]])
    assert ids(broker.held_by("w1", limit=1, but=ids(mine[:2]))) == ids(mine[2:])
    broker.finish("w1", make_outcomes(mine, "SUCCESSFUL"))
    assert broker.held_by("w1") == []


# promote and next_due


def due(**changes: Any) -> Any:
    """Return a spec that was for later when it was enqueued, and is due by now."""
    now = timezone.now()
    return make_spec(run_after=now - timedelta(seconds=1), enqueued_at=now - timedelta(seconds=60), **changes)


def test_promote_makes_ready_what_is_due(broker: Any, put: Put) -> None:
    specs = [due(), due(queue_name="mail"), due(priority=9)]
    broker.enqueue(specs)
    (later,) = put(run_after=timezone.now() + timedelta(hours=1))
    assert broker.ready_queues() == []
    assert broker.promote() == 3
    assert {*ids(Job.objects.filter(status="READY"))} == {*ids(specs)}
    assert Job.objects.get(id=later.id).status == "SCHEDULED"
    assert broker.promote() == 0
    assert ids(broker.claim("w1", "default", 9)) == ids([specs[2], specs[0]])


def test_promote_takes_the_first_due_up_to_its_limit(broker: Any) -> None:
    now = timezone.now()
    specs = [
        make_spec(run_after=now - timedelta(seconds=number), enqueued_at=now - timedelta(hours=1))
        for number in range(9)
    ]
    broker.enqueue(specs)
    assert broker.promote(limit=4) == 4
    assert {*ids(Job.objects.filter(status="READY"))} == {*ids(specs[5:])}
    assert broker.promote(limit=40) == 5


def test_promote_forgets_why_a_job_waited(broker: Any, put: Put) -> None:
    put()
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), "SCHEDULED", reason="later", retry_in=-1))
    assert Job.objects.get().reason == "later"
    assert broker.promote() == 1
    assert (Job.objects.get().status, Job.objects.get().reason) == ("READY", "")


def test_backends_promote_their_own_jobs(broker: Any, other: Any) -> None:
    other.enqueue([due()])
    assert broker.promote() == 0
    assert broker.next_due() is None
    assert other.next_due() < 0
    assert other.promote() == 1


def test_next_due_is_the_time_until_the_first(broker: Any, put: Put) -> None:
    assert broker.next_due() is None
    put(3)
    assert broker.next_due() is None
    put(run_after=timezone.now() + timedelta(seconds=500))
    put(run_after=timezone.now() + timedelta(seconds=100))
    assert 40 < broker.next_due() <= 100
    broker.enqueue([due()])
    assert broker.next_due() < 0


# cancel


def test_cancel_takes_what_has_not_started(broker: Any, put: Put) -> None:
    (running,) = put(args='["running"]', priority=9)
    broker.claim("w1", "default", 1)
    ready, waiting = put(2, args='["é"]', metadata='{"m": 1}')
    Job.objects.filter(id=waiting.id).update(status="WAITING")
    (later,) = put(run_after=timezone.now() + timedelta(hours=1))
    asked = [*ids([running, ready, waiting, later]), uuid.uuid4()]
    cancelled = broker.cancel(asked, reason="by Ann", running=False)
    assert cancelled == ({ready.id, waiting.id, later.id}, set())
    assert ids(Job.objects.all()) == [running.id]
    assert {(row.status, row.reason) for row in Result.objects.all()} == {("CANCELLED", "by Ann")}
    row = Result.objects.get(id=ready.id)
    assert (row.args, row.metadata, row.attempt, row.worker_id, row.return_value) == (["é"], {"m": 1}, 0, None, None)
    assert broker.cancel(asked, running=False) == (set(), set())


def test_cancel_of_nothing_is_nothing(broker: Any) -> None:
    assert broker.cancel([]) == (set(), set())
    assert broker.cancel([uuid.uuid4()]) == (set(), set())


def test_many_can_be_cancelled_at_once(broker: Any, put: Put) -> None:
    specs = put(2_500)
    assert broker.cancel(ids(specs)).done == {*ids(specs)}


# requeue


def test_requeue_brings_a_result_back_under_its_id(broker: Any, put: Put) -> None:
    (spec,) = put(args='["é"]', kwargs='{"z": 1, "a": 2}', metadata='{"m": 1}', options='{"timeout": 3}', priority=7)
    jobs = broker.claim("w1", "default", 1)
    broker.finish(
        "w1", make_outcomes(jobs, "FAILED", error=error(), ending=Ending.LOST, is_refused=True, reason="over")
    )
    assert broker.requeue([spec.id, uuid.uuid4()]) == {spec.id}
    assert not Result.objects.exists()
    row = Job.objects.get()
    assert (str(row.id), row.status, row.args, row.kwargs) == (spec.id, "READY", ["é"], {"z": 1, "a": 2})
    assert (row.metadata, row.options, row.priority) == ({"m": 1}, {"timeout": 3}, 7)
    assert (row.attempt, row.failures, row.losses) == (1, 0, 0)
    assert (row.errors, row.worker_id, row.reason) == ([ERROR | {"attempt": 1}], None, "")
    (job,) = broker.claim("w2", "default", 1)
    assert (job.id, job.attempt, job.failures) == (spec.id, 2, 0)
    assert broker.requeue([spec.id]) == set()


@pytest.mark.parametrize("status", ["SUCCESSFUL", "FAILED"])
def test_any_finished_job_can_be_requeued(broker: Any, put: Put, status: str) -> None:
    (spec,) = put()
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), status, return_value="1"))
    assert broker.requeue([spec.id]) == {spec.id}


def test_a_cancelled_job_can_be_requeued(broker: Any, put: Put) -> None:
    (spec,) = put(run_after=timezone.now() + timedelta(hours=1))
    broker.cancel([spec.id])
    assert broker.requeue([spec.id]) == {spec.id}
    assert ids(broker.claim("w1", "default", 1)) == [spec.id]


# prune and delete_results


def finished(broker: Any, put: Put, count: int, status: str, **ago: float) -> list[uuid.UUID]:
    put(count)
    jobs = broker.claim("w1", "default", count)
    moment = timezone.now() - timedelta(**ago)
    broker.finish("w1", make_outcomes(jobs, status, finished_at=moment, started_at=moment))
    return ids(jobs)


def test_prune_deletes_what_is_old_enough(broker: Any, put: Put) -> None:
    finished(broker, put, 3, "SUCCESSFUL", hours=3)
    kept = finished(broker, put, 2, "SUCCESSFUL", hours=1)
    kept += finished(broker, put, 2, "FAILED", hours=3)
    put(1, queue_name="alive")
    assert broker.prune(["SUCCESSFUL"], 2 * 3600) == 3
    assert {*ids(Result.objects.all())} == {*kept}
    assert broker.prune(["FAILED", "CANCELLED"], 2 * 3600) == 2
    assert Job.objects.count() == 1


def test_prune_takes_the_oldest_up_to_its_limit(broker: Any, put: Put) -> None:
    younger = finished(broker, put, 3, "SUCCESSFUL", hours=3)
    finished(broker, put, 3, "SUCCESSFUL", hours=5)
    finished(broker, put, 3, "FAILED", hours=5)
    assert broker.prune(["SUCCESSFUL", "FAILED"], 3600, limit=3) == 3
    assert {*ids(Result.objects.filter(status="SUCCESSFUL"))} == {*younger}
    assert broker.prune(["SUCCESSFUL", "FAILED"], 3600, limit=4) == 4
    assert broker.prune(["SUCCESSFUL", "FAILED"], 3600, limit=4) == 2
    assert broker.prune(["SUCCESSFUL", "FAILED"], 3600, limit=4) == 0


def test_a_backend_prunes_its_own_results(broker: Any, other: Any, put: Put) -> None:
    finished(broker, put, 2, "SUCCESSFUL", hours=3)
    assert other.prune(["SUCCESSFUL"], 0) == 0
    assert Result.objects.count() == 2


def test_what_another_backend_keeps_is_looked_at_once(broker: Any, other: Any, put: Put) -> None:
    finished(broker, put, 30, "SUCCESSFUL", hours=3)
    theirs = [make_spec() for _ in range(25)]
    other.enqueue(theirs)
    other.finish("w1", make_outcomes(other.claim("w1", "default", 25), "SUCCESSFUL"))
    Result.objects.filter(backend="other").update(finished_at=timezone.now() - timedelta(hours=2))
    # All that is kept ended at one moment, which is more than one look takes.
    looks, position = [], None
    for _ in range(5):
        pruned = other.prune_next("SUCCESSFUL", 3_600, position, limit=10)
        position = pruned.position
        looks.append(pruned.deleted)
    assert looks[0] == 0
    assert sum(looks) == 25
    assert Result.objects.filter(backend="default").count() == 30
    assert not other.prune_next("SUCCESSFUL", 3_600, position, limit=10).is_full


def test_results_can_be_deleted_by_their_ids(broker: Any, put: Put) -> None:
    first, second = finished(broker, put, 2, "FAILED", hours=1)
    assert broker.delete_results([first, uuid.uuid4()]) == 1
    assert ids(Result.objects.all()) == [second]
    assert broker.delete_results([]) == 0


# Who holds what


def test_holders_are_those_of_running_jobs(broker: Any, other: Any, put: Put) -> None:
    put(6)
    other.enqueue([make_spec()])
    assert broker.holders() == []
    for worker_id, number in (("w2", 2), ("w1", 3)):
        broker.claim(worker_id, "default", number)
    other.claim("theirs", "default", 1)
    assert sorted(broker.holders()) == ["w1", "w2"]
    assert other.holders() == ["theirs"]
    broker.finish("w1", make_outcomes(broker.held_by("w1"), "SUCCESSFUL"))
    assert broker.holders() == ["w2"]


# Times


@pytest.mark.parametrize("use_tz", [True, False])
def test_times_come_back_as_they_went_in(settings: Any, broker: Any, use_tz: bool) -> None:
    settings.USE_TZ = use_tz
    now = timezone.now()
    spec = make_spec(run_after=to_stored(to_aware(now) + timedelta(days=200)), enqueued_at=now)
    broker.enqueue([spec])
    assert Job.objects.get().run_after == spec.run_after
    assert abs(broker.next_due() - 200 * 86_400) < 60
    Job.objects.update(status="READY")
    (job,) = broker.claim("w1", "default", 1)
    assert (job.run_after, job.enqueued_at) == (spec.run_after, spec.enqueued_at)
    assert abs(Job.objects.get().started_at - now) < timedelta(seconds=60)
    broker.finish("w1", make_outcomes([job], "READY", ending=Ending.ERROR))
    (job,) = broker.claim("w1", "default", 1)
    assert abs(job.started_at - now) < timedelta(seconds=60)
    (outcome,) = make_outcomes([job], "SUCCESSFUL")
    broker.finish("w1", [outcome])
    row = Result.objects.get()
    assert (row.finished_at, row.last_attempted_at, row.run_after) == (
        outcome.finished_at,
        outcome.started_at,
        spec.run_after,
    )


# In one round trip


WAKE_UP = ("SELECT pg_notify(%s, %s)", ["django_tasks_q", "default"])


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_job_is_stored_before_the_next_statement_runs(broker: Any) -> None:
    spec = make_spec()
    count = (
        "INSERT INTO django_tasks_q_queue (backend, name, paused, changed_at)"
        " SELECT 'default', count(*)::text, false, now() FROM django_tasks_q_job WHERE queue_name = %s",
        ["default"],
    )
    assert broker.enqueue_and_run(spec, count)
    assert str(Job.objects.get().id) == spec.id
    assert Queue.objects.get().name == "1"


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_a_refused_job_leaves_no_transaction_behind(broker: Any) -> None:
    spec = make_spec()
    assert broker.enqueue_and_run(spec, WAKE_UP)
    with pytest.raises(IntegrityError):
        broker.enqueue_and_run(spec, WAKE_UP)
    assert str(Job.objects.get().id) == spec.id
    assert broker.enqueue_and_run(make_spec(), WAKE_UP)
    assert Job.objects.count() == 2


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_an_error_behind_the_commit_is_logged(broker: Any, caplog: pytest.LogCaptureFixture) -> None:
    spec = make_spec()
    assert broker.enqueue_and_run(spec, ("SELECT 1 / %s", [0]))
    assert str(Job.objects.get().id) == spec.id
    assert f"Job {spec.id} is stored" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_done_in_one_round_trip_is_left_alone(broker: Any) -> None:
    with transaction.atomic():
        assert not broker.enqueue_and_run(make_spec(), WAKE_UP)
    assert not broker.enqueue_and_run(make_spec(), None)
    assert not Job.objects.exists()


# run now, move


def test_run_now_takes_what_is_scheduled(broker: Any, put: Put) -> None:
    (ready,) = put()
    later, other = put(2, run_after=timezone.now() + timedelta(hours=1))
    Job.objects.update(reason="why")
    assert broker.run_now([*ids([ready, later]), uuid.uuid4()]) == {later.id}
    row = Job.objects.get(id=later.id)
    assert (row.status, row.reason) == ("READY", "")
    assert timezone.now() - timedelta(minutes=1) < row.due_at <= timezone.now()
    assert Job.objects.get(id=other.id).status == "SCHEDULED"
    assert broker.run_now([later.id]) == set()
    assert {job.id for job in broker.claim("w1", "default", 5)} == {ready.id, later.id}


def test_move_takes_what_does_not_run(broker: Any, put: Put) -> None:
    put(priority=100)
    (running,) = broker.claim("w1", "default", 1)
    ready, other = put(2)
    (later,) = put(run_after=timezone.now() + timedelta(hours=1))
    asked = [running.id, *ids([ready, later]), uuid.uuid4()]
    assert broker.move(asked, {"queue_name": "it's", "priority": -5}) == {ready.id, later.id}
    assert broker.move([later.id], {"priority": 7}) == {later.id}
    moved = {str(row.id): (row.queue_name, row.priority, row.status) for row in Job.objects.all()}
    assert moved == {
        running.id: ("default", 100, "RUNNING"),
        ready.id: ("it's", -5, "READY"),
        later.id: ("it's", 7, "SCHEDULED"),
        other.id: ("default", 0, "READY"),
    }
    assert [job.id for job in broker.claim("w1", "it's", 5)] == [ready.id]


def test_a_parent_goes_with_the_job(broker: Any) -> None:
    parent = uuid.uuid4()
    broker.enqueue([make_spec(parent_id=str(parent)), make_spec()])
    broker.enqueue([make_spec(parent_id=str(parent))])
    jobs = broker.claim("w1", "default", 3)
    broker.finish("w1", make_outcomes(jobs, "SUCCESSFUL"))
    assert sorted(map(str, Result.objects.values_list("parent_id", flat=True))) == sorted([str(parent)] * 2 + ["None"])
    broker.requeue(ids(jobs))
    assert Job.objects.filter(parent_id=parent).count() == 2


@pytest.mark.parametrize("text", ["shop.NoStock at shop/tasks.py:12 in charge", "é 👍 \\ ' \" %s", "x" * 400])
def test_a_failure_knows_those_that_are_like_it(broker: Any, put: Put, text: str) -> None:
    put(2)
    first, second = broker.claim("w1", "default", 2)
    entry = json.dumps(ERROR | {"group": text})
    broker.finish("w1", make_outcomes([first], "FAILED", error=entry, ending=Ending.ERROR))
    broker.finish("w1", make_outcomes([second], "READY", error=entry, ending=Ending.ERROR))
    assert Result.objects.get().error_group == text[:255]
    (second,) = broker.claim("w1", "default", 1)
    broker.finish("w1", make_outcomes([second], "SUCCESSFUL", return_value="1"))
    assert Result.objects.get(id=second.id).error_group is None


def test_a_failure_without_a_group_has_none(broker: Any, put: Put) -> None:
    put(2)
    first, second = broker.claim("w1", "default", 2)
    broker.finish("w1", make_outcomes([first], "FAILED", error=error(), ending=Ending.ERROR))
    broker.finish("w1", make_outcomes([second], "FAILED", ending=Ending.ERROR))
    assert set(Result.objects.values_list("error_group", flat=True)) == {None}
