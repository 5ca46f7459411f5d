"""Outcomes that cannot be recorded like the others: each has a place, and none holds up another one."""

from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connections, transaction

from django_tasks_q.brokers.refusals import finish_one
from django_tasks_q.lifecycle import Ending, ResultStatus
from django_tasks_q.models import Job, Result
from tests.brokers.conftest import Put, make_outcomes
from tests.brokers.test_concurrency import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)
LOCKING = pytest.mark.only_on("postgresql", "mysql")


@pytest.fixture
def broker(transactional_db: None) -> Any:
    from django_tasks_q.brokers import get_broker  # noqa: PLC0415 - after the database is there

    return get_broker("default")


def statuses() -> dict[str, str]:
    rows = [*Job.objects.values_list("id", "status"), *Result.objects.values_list("id", "status")]
    return {str(key): status for key, status in rows}


@LOCKING
@pytest.mark.parametrize("status", ["SUCCESSFUL", "READY"])
def test_what_another_session_has_locked_is_left_out_and_told(broker: Any, put: Put, status: str) -> None:
    put(5)
    jobs = broker.claim("w1", "default", 5)
    with transaction.atomic():
        broker.cancel([jobs[2].id])
        with meanwhile(lambda: broker.finish("w1", make_outcomes(jobs, status), skip_locked=True)) as answer:
            recorded = answer()
    others = {job.id for job in jobs} - {jobs[2].id}
    assert recorded.finished | recorded.retried == others
    assert recorded.locked == {jobs[2].id}
    again = broker.finish("w1", make_outcomes([jobs[2]], status), skip_locked=True)
    assert (jobs[2].id in again, again.locked) == (True, frozenset())
    assert statuses()[jobs[2].id] == ("SUCCESSFUL" if status == "SUCCESSFUL" else "CANCELLED")


@LOCKING
def test_what_is_not_ours_any_more_is_not_told_as_locked(broker: Any, put: Put) -> None:
    put(2)
    mine, theirs = broker.claim("w1", "default", 2)
    broker.release("w1", [theirs])
    recorded = broker.finish("w1", make_outcomes([mine, theirs], "SUCCESSFUL"), skip_locked=True)
    assert (recorded.finished, recorded.locked) == ({mine.id}, frozenset())


@LOCKING
def test_lines_and_progress_of_a_locked_job_wait_for_nobody(broker: Any, put: Put) -> None:
    from django_tasks_q.brokers.values import LogLines  # noqa: PLC0415
    from django_tasks_q.models import JobLog  # noqa: PLC0415

    put(2)
    locked, free = broker.claim("w1", "default", 2)
    with transaction.atomic():
        Job.objects.select_for_update().get(id=locked.id)

        def note() -> None:
            broker.save_progress("w1", {locked.id: "1", free.id: "2"}, skip_locked=True)
            broker.append_logs("w1", [LogLines(job.id, 1, "[]") for job in (locked, free)], skip_locked=True)
            broker.record_begun("w1", [locked, free])

        with meanwhile(note) as answer:
            answer()
    assert dict(Job.objects.values_list("id", "progress"))[Job.objects.get(id=free.id).id] == 2
    assert JobLog.objects.count() == 2
    assert broker.begun_under("w1") == {free.id}


@LOCKING
def test_the_last_progress_waits_for_who_has_the_job_locked(broker: Any, put: Put) -> None:
    put(1)
    (job,) = broker.claim("w1", "default", 1)
    patience = {"postgresql": "SET lock_timeout = '100ms'", "mysql": "SET innodb_lock_wait_timeout = 1"}

    def note() -> None:
        with broker.connection.cursor() as cursor:
            cursor.execute(patience[broker.connection.vendor])
        with pytest.raises(OperationalError, match=r"(?i)lock"):
            broker.save_progress("w1", {job.id: "1"})

    with transaction.atomic():
        Job.objects.select_for_update().get(id=job.id)
        with meanwhile(note) as answer:
            answer()
    broker.save_progress("w1", {job.id: "2"})
    assert Job.objects.get(id=job.id).progress == 2


def test_a_job_that_runs_again_may_have_new_arguments(broker: Any, put: Put) -> None:
    put(3, args="[1, 2.0]", kwargs='{"a": 1}')
    changed, same, lost = broker.claim("w1", "default", 3)
    new = {"arguments": ('["\\"é👍", 18446744073709551615, 1.0]', '{"b": null}')}
    outcomes = [
        *make_outcomes([changed], "READY", ending=Ending.ERROR, **new),
        *make_outcomes([same], "READY", ending=Ending.ERROR),
        *make_outcomes([lost._replace(attempt=7)], "READY", ending=Ending.ERROR, **new),
    ]
    assert broker.finish("w1", outcomes).retried == {changed.id, same.id}
    found = {broker.dialect.from_key(job.pk): (job.args, job.kwargs) for job in Job.objects.all()}
    assert found[changed.id] == (['"é👍', 18446744073709551615, 1.0], {"b": None})
    assert found[same.id] == found[lost.id] == ([1, 2.0], {"a": 1})


def test_a_job_that_is_cancelled_keeps_the_arguments_of_its_run(broker: Any, put: Put) -> None:
    put(1, args="[1]")
    (job,) = broker.claim("w1", "default", 1)
    broker.cancel([job.id])
    broker.finish("w1", make_outcomes([job], "READY", ending=Ending.ERROR, arguments=("[2]", "{}")))
    assert (Result.objects.get().status, Result.objects.get().args) == (ResultStatus.CANCELLED, [1])


def clash(broker: Any, put: Put) -> Any:
    """Return a RUNNING job under the id of a result, as a restored table may have it."""
    (spec,) = put(1)
    (job,) = broker.claim("w1", "default", 1)
    broker.finish("w1", make_outcomes([job], "FAILED"))
    put(1, id=spec.id)
    (again,) = broker.claim("w1", "default", 1)
    return again


def test_a_result_under_the_same_id_gives_way(broker: Any, put: Put) -> None:
    job = clash(broker, put)
    (outcome,) = make_outcomes([job], "SUCCESSFUL")
    with pytest.raises(DatabaseError):
        broker.finish("w1", [outcome])
    recorded = finish_one(broker, "w1", outcome)[1]
    assert recorded is not None
    assert recorded.finished == {job.id}
    assert (Result.objects.get().status, Job.objects.count()) == (ResultStatus.SUCCESSFUL, 0)


def test_no_result_gives_way_to_a_run_that_is_not_ours(broker: Any, put: Put) -> None:
    job = clash(broker, put)
    (outcome,) = make_outcomes([job], "SUCCESSFUL")
    assert job.id not in broker.finish_instead("w2", outcome)
    assert (Result.objects.get().status, Job.objects.get().status) == (ResultStatus.FAILED, "RUNNING")


def test_a_job_under_the_id_of_a_result_can_be_cancelled(broker: Any, put: Put) -> None:
    (spec,) = put(1)
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), "FAILED"))
    put(1, id=spec.id)
    assert broker.cancel([spec.id]).done == {spec.id}
    assert (Result.objects.get().status, Job.objects.count()) == (ResultStatus.CANCELLED, 0)


def test_a_result_whose_id_waits_again_is_not_requeued(broker: Any, put: Put) -> None:
    (spec,) = put(1)
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 1), "FAILED"))
    put(1, id=spec.id)
    assert broker.requeue([spec.id]) == set()
    assert (Result.objects.count(), Job.objects.count()) == (1, 1)


def test_an_outcome_that_no_table_takes_sets_its_job_aside(broker: Any, put: Put) -> None:
    """Here the history refuses every row."""
    put(1)
    (job,) = broker.claim("w1", "default", 1)
    (outcome,) = make_outcomes([job], "SUCCESSFUL")
    with connections[broker.using].cursor() as cursor:
        for statement in REFUSING[connections[broker.using].vendor]:
            cursor.execute(statement)
    try:
        assert finish_one(broker, "w1", outcome)[1] is None
    finally:
        with connections[broker.using].cursor() as cursor:
            cursor.execute(ACCEPTING[connections[broker.using].vendor])
    row = Job.objects.get()
    assert (row.status, row.worker_id) == ("WAITING", None)
    assert row.reason.startswith("Its outcome cannot be recorded: ")


TRIGGER = "CREATE TRIGGER refuse BEFORE INSERT ON django_tasks_q_result"
REFUSING = {
    "postgresql": [
        "CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'no more'; END $$ LANGUAGE plpgsql",
        f"{TRIGGER} FOR EACH ROW EXECUTE FUNCTION refuse()",
    ],
    "mysql": [f"{TRIGGER} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no more'"],
    "sqlite": [f"{TRIGGER} BEGIN SELECT RAISE(ABORT, 'no more'); END"],
}
ACCEPTING = {
    "postgresql": "DROP FUNCTION refuse CASCADE",
    "mysql": "DROP TRIGGER refuse",
    "sqlite": "DROP TRIGGER refuse",
}
