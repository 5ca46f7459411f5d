import json
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.test.utils import CaptureQueriesContext

from django_tasks_q.models import Job, JobLog, Result
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.signals import job_finished
from django_tasks_q.worker.recording.recorder import Recorder
from django_tasks_q.worker.wire.frames import LogNote

from ...brokers.conftest import make_outcomes
from ...scenes import claim, jobs

pytestmark = pytest.mark.django_db(transaction=True)


def said(done: int) -> str:
    return json.dumps({"done": done, "total": 10, "message": "", "at": 1.0})


def test_after_a_lost_connection_only_what_is_known_and_still_held_is_kept(broker: Any) -> None:
    """A claim and a release may both have been committed although nobody was told."""
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    jobs(3)
    known, unknown, released = claim(3, worker=registry.worker_id)
    broker.release(registry.worker_id, [released])
    kept = Recorder(broker, registry).give_back(but=[known, released])
    assert kept == {known.id}
    statuses = {str(key): status for key, status in Job.objects.values_list("id", "status")}
    assert statuses == {known.id: "RUNNING", unknown.id: "READY", released.id: "READY"}


def test_a_run_claimed_by_an_unconfirmed_commit_goes_back(broker: Any) -> None:
    """Such a commit has handed a job back and claimed it again; the worker knows only the run before."""
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    jobs(1)
    (first,) = claim(1, worker=registry.worker_id)
    broker.finish(registry.worker_id, make_outcomes([first], "READY"))
    (second,) = claim(1, worker=registry.worker_id)
    assert (second.id, second.attempt) == (first.id, 2)
    recorder = Recorder(broker, registry)
    assert recorder.give_back(but=[first]) == set()
    assert Job.objects.get().status == "READY"


def test_what_runs_again_is_told_although_something_else_was_refused(broker: Any) -> None:
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    recorder = Recorder(broker, registry)
    jobs(2)
    refused, again = claim(2, worker=registry.worker_id)
    (outcome,), (retry,) = make_outcomes([refused], "SUCCESSFUL"), make_outcomes([again], "READY")
    recorder.hold(refused, outcome._replace(return_value="{broken"))
    recorder.hold(again, retry)
    with pytest.raises(DatabaseError) as error, broker.transaction():
        recorder.record()
    recorder.note_failure(error.value)
    assert recorder.held == []
    retried = []
    while not recorder.is_empty:
        retried += recorder.run_salvage()
    assert retried == [retry]
    assert Job.objects.get().status == "READY"
    ended = Result.objects.get()
    assert (str(ended.id), ended.status) == (refused.id, "FAILED")
    assert ended.reason.startswith("The database refused the outcome of this run")


def test_what_is_released_and_was_to_be_cancelled_has_ended(broker: Any) -> None:
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    recorder, announced = Recorder(broker, registry), list[tuple[str, str]]()

    def note(*, job: Any, outcome: Any, **kwargs: Any) -> None:
        announced.append((job.id, outcome.status))

    jobs(2)
    cancelled, other = claim(2, worker=registry.worker_id)
    broker.cancel([cancelled.id], reason="Cancelled by alice.")
    job_finished.connect(note)
    try:
        recorder.release([cancelled, other])
    finally:
        job_finished.disconnect(note)
    assert (announced, recorder.finished) == ([(cancelled.id, "CANCELLED")], 1)
    assert str(Result.objects.get().id) == cancelled.id
    assert (str(Job.objects.get().id), Job.objects.get().status) == (other.id, "READY")


def test_what_comes_while_the_database_works_is_recorded_next(broker: Any) -> None:
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    recorder = Recorder(broker, registry)
    jobs(3)
    first, second, running = claim(3, worker=registry.worker_id)
    outcome, later = make_outcomes([first, second], "SUCCESSFUL")
    recorder.progress = {first.id: said(1), running.id: said(2)}
    recorder.hold(first, outcome)
    with broker.transaction():
        recorded = recorder.record()
        recorder.progress |= {second.id: said(3), running.id: said(4)}
        recorder.hold(second, later)
    assert recorder.settle(recorded) == []
    assert (recorded.finished, recorder.held) == ({first.id}, [(second, later)])
    assert recorder.progress == {second.id: said(3), running.id: said(4)}
    with broker.transaction():
        recorded = recorder.record()
    recorder.settle(recorded)
    assert (recorded.finished, recorder.held, recorder.progress) == ({second.id}, [], {})
    assert [Result.objects.get(id=job.id).progress["done"] for job in (first, second)] == [1, 3]
    assert Job.objects.get(id=running.id).progress["done"] == 4


def test_a_run_that_ends_during_any_statement_is_recorded_next_with_all_it_has_said(broker: Any) -> None:
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    recorder = Recorder(broker, registry)
    jobs(30)
    claimed = claim(30, worker=registry.worker_id)
    waiting = list(zip(claimed, make_outcomes(claimed, "SUCCESSFUL"), strict=True))

    def end_one() -> None:
        job, outcome = waiting.pop()
        recorder.lines.take(job, LogNote(1, False, 0, ((1.0, "INFO", "shop", job.id),)))
        recorder.progress[job.id] = said(3)
        recorder.hold(job, outcome)

    def run_beside(execute: Any, *args: Any) -> Any:
        if waiting:
            end_one()
        return execute(*args)

    recorded: list[str] = []
    end_one()
    while recorder.held:
        with broker.transaction(), connections[broker.using].execute_wrapper(run_beside):
            before = [job.id for job, _ in recorder.held]
            done = recorder.record()
        assert done.finished == set(before)
        recorder.settle(done)
        recorded += before
    assert sorted(recorded) == sorted(job.id for job in claimed)
    assert recorder.finished == len(claimed)
    assert {str(row.job_id): [line[3] for line in row.entries] for row in JobLog.objects.all()} == {
        job.id: [job.id] for job in claimed
    }
    assert [done["done"] for done in Result.objects.values_list("progress", flat=True)] == [3] * len(claimed)


def test_what_is_logged_costs_two_statements_for_all_and_none_where_nothing_is(broker: Any) -> None:
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    recorder = Recorder(broker, registry)

    def record(*, logging: bool) -> list[str]:
        jobs(3)
        taken = claim(3, worker=registry.worker_id)
        for job in taken:
            if logging:
                recorder.lines.take(job, LogNote(1, False, 0, ((1.0, "INFO", "shop", "hello"),)))
            (outcome,) = make_outcomes([job], "SUCCESSFUL")
            recorder.hold(job, outcome)
        with CaptureQueriesContext(connections[broker.using]) as queries, broker.transaction():
            recorded = recorder.record()
        recorder.settle(recorded)
        assert recorded.finished == {job.id for job in taken}
        return [query["sql"] for query in queries]

    without = record(logging=False)
    assert not any("job_log" in sql for sql in without)
    assert JobLog.objects.count() == 0
    assert len(record(logging=True)) == len(without) + 2
    assert JobLog.objects.count() == 3
    with CaptureQueriesContext(connections[broker.using]) as queries:
        recorder.record_reports()
    assert len(queries) == 0
