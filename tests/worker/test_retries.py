"""What happens to a job after an error, and after the loss of its process."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from django_tasks_q import Task, TasksQResult
from django_tasks_q.control import jobs as control
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Job, Result
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import insert_job, row_of
from tests.waiting import wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import tasks


def counts(result: TasksQResult[Any]) -> tuple[str, int, int, int]:
    row = row_of(result)
    return str(row.status), row.attempt, row.failures, row.losses


def exceptions(result: TasksQResult[Any]) -> list[str]:
    return [error["exception"].rpartition(".")[2] for error in row_of(result).errors]


def test_errors_are_retried_within_the_budget(worker: WorkerProcess) -> None:
    thrice, of_a_kind = usual.boom_thrice.enqueue("no"), usual.boom_of_a_kind.enqueue("OSError")
    other_kind, once = usual.boom_of_a_kind.enqueue("ValueError"), usual.boom.enqueue()
    fourth = usual.succeed_at.enqueue(4)
    for result in (thrice, of_a_kind, other_kind, once):
        assert result.wait(30).status == "FAILED"

    assert counts(thrice) == ("FAILED", 3, 3, 0)
    assert exceptions(thrice) == ["ValueError"] * 3
    assert counts(of_a_kind) == ("FAILED", 3, 3, 0)
    assert (counts(other_kind), counts(once)) == (("FAILED", 1, 1, 0), ("FAILED", 1, 1, 0))
    assert row_of(thrice).reason == "ValueError: no"
    assert "raise ValueError(message)\nValueError: no" in thrice.errors[0].traceback
    assert thrice.worker_ids == [worker.row.id] * 3
    assert fourth.wait(30).return_value == 4
    assert counts(fourth) == ("SUCCESSFUL", 4, 3, 0)


def scheduled(result: TasksQResult[Any]) -> Job:
    return wait_for(lambda: Job.objects.filter(pk=result.id, status="SCHEDULED").first(), f"{result.id} to wait")


def seconds_to_wait(job: Job) -> float:
    return float((job.due_at - datetime.fromisoformat(job.errors[-1]["finished_at"])).total_seconds())


def test_a_task_says_when_it_runs_again_and_why(worker: WorkerProcess) -> None:
    twice = tasks.ask_again.using(max_attempts=2)
    later, sometime, now, once = (
        twice.enqueue(900), twice.enqueue(None), twice.enqueue(0), tasks.ask_again.enqueue(0)
    )  # fmt: skip
    job = scheduled(later)
    assert (job.reason, job.failures) == ("Retry: The other side asks us to wait.", 1)
    assert exceptions(later) == ["Retry"]
    assert 890 < seconds_to_wait(job) < 910
    assert 3_590 < seconds_to_wait(scheduled(sometime)) < 3_610
    assert control.run_now([job.pk]) == {job.pk}
    assert wait_for_results([later, now]) == [2, 2]
    assert once.wait(30).status == "FAILED"
    assert row_of(once).reason == "Retry: The other side asks us to wait. (no attempt is left: max_attempts is 1)"


def test_a_task_asks_for_another_attempt_with_other_arguments(worker: WorkerProcess) -> None:
    result = tasks.ask_again_with.enqueue(1, following=[[2], ["é👍"]])
    assert result.wait(30).return_value == ["é👍", 3]
    row = row_of(result)
    assert (row.args, row.kwargs) == (["é👍"], {"step": 3, "following": []})
    assert counts(result) == ("SUCCESSFUL", 3, 2, 0)
    assert exceptions(result) == ["Retry", "Retry"]


REFUSED = {
    "unknown": ("TypeError", "ask_again_badly() does not take these arguments: got an unexpected keyword"),
    "too many": ("TypeError", "ask_again_badly() does not take these arguments: too many positional"),
    "unserializable": ("UnserializableError", "args[0] is a set"),
    "too large": ("PayloadTooLarge", "bytes of JSON; at most"),
}


def test_a_job_fails_that_asks_for_arguments_which_are_refused(worker: WorkerProcess) -> None:
    results = {how: tasks.ask_again_badly.enqueue(how) for how in REFUSED}
    for how, (error, message) in REFUSED.items():
        result = results[how].wait(30)
        assert counts(result) == ("FAILED", 1, 1, 0)
        assert exceptions(result) == [error]
        (only,) = result.errors
        assert "Retry() with new arguments: " in row_of(result).reason
        assert message in only.traceback
        assert "raise Retry(after=3_600, **new[how])" in only.traceback
        assert row_of(result).args == [how]


def test_a_task_ignores_a_call(worker: WorkerProcess) -> None:
    told, silent = tasks.ignore.enqueue("The order is paid."), tasks.ignore.enqueue("")
    for result in (told, silent):
        assert (result.wait(30).status, result.errors) == ("FAILED", [])
        assert counts(result) == ("CANCELLED", 1, 0, 0)
    assert row_of(told).reason == "The order is paid."
    assert row_of(silent).reason == "The task ignored this call."
    assert not Effect.objects.exists()


def test_a_task_rejects_a_call(worker: WorkerProcess, tmp_path: Path) -> None:
    result = tasks.reject.enqueue().wait(30)
    assert counts(result) == ("FAILED", 1, 1, 0)
    assert (exceptions(result), row_of(result).reason) == (["Reject"], "Reject: It is not for us.")

    flag = tmp_path / "flag"
    flag.touch()
    put_back = tasks.reject_once.enqueue(str(flag))
    assert scheduled(put_back).reason == "Reject: Later, perhaps."
    assert put_back.wait(30).return_value == 1
    assert (counts(put_back), put_back.errors) == (("SUCCESSFUL", 1, 0, 0), [])


def test_arguments_that_are_left_as_they_are_are_those_that_were_enqueued(worker: WorkerProcess) -> None:
    result = tasks.spoil_and_ask_again.enqueue(1, spoilt=[])
    assert result.wait(30).return_value == [2, []]


def test_a_policy_sees_the_error_and_the_job(worker: WorkerProcess) -> None:
    usual_queue = tasks.be_throttled.enqueue(500)
    slow = tasks.be_throttled.using(queue_name="slow").enqueue(500)
    assert 490 < seconds_to_wait(scheduled(usual_queue)) < 510
    assert 4_990 < seconds_to_wait(scheduled(slow)) < 5_010


def test_what_is_named_is_not_retried(worker: WorkerProcess) -> None:
    result = usual.boom_thrice.using(dont_retry_on=ValueError).enqueue().wait(30)
    assert counts(result) == ("FAILED", 1, 1, 0)


def test_backoff_keeps_a_job_waiting(worker: WorkerProcess) -> None:
    result = usual.boom_thrice.using(backoff=[0.3, 0.6]).enqueue().wait(30)
    errors = row_of(result).errors
    starts, ends = [error["started_at"] for error in errors], [error["finished_at"] for error in errors]
    moments = [
        (datetime.fromisoformat(end), datetime.fromisoformat(start))
        for end, start in zip(ends, starts[1:], strict=False)
    ]
    waits = [(start - end).total_seconds() for end, start in moments]
    # What a worker knows of the database's clock changes a little with each heartbeat.
    assert waits[0] >= 0.2
    assert waits[1] >= 0.5


def test_a_requeued_job_has_a_fresh_budget_and_keeps_its_errors(worker: WorkerProcess) -> None:
    result = usual.boom_thrice.enqueue().wait(30)
    key = row_of(result).id
    assert control.retry([key]) == {key}
    wait_for(lambda: counts(result) == ("FAILED", 6, 3, 0), "the requeued job to fail")
    assert exceptions(result) == ["ValueError"] * 6
    assert [error["attempt"] for error in row_of(result).errors] == [1, 2, 3, 4, 5, 6]


def test_losses_are_counted_apart_from_errors(worker: WorkerProcess) -> None:
    result = tasks.die_twice_and_fail_twice.enqueue().wait(30)
    assert result.return_value == 5
    assert counts(result) == ("SUCCESSFUL", 5, 2, 2)
    assert exceptions(result) == ["JobLost", "JobLost", "ValueError", "ValueError"]
    assert "exited with code 9" in row_of(result).errors[0]["traceback"]


@pytest.mark.parametrize("task", [usual.kill_process, usual.exit_process], ids=["signal", "exit"])
def test_a_poison_job_fails_after_max_losses(worker: WorkerProcess, task: Task[..., Any]) -> None:
    result = task.using(max_attempts=10).enqueue()
    others = [usual.add.enqueue(1, number) for number in range(5)]
    assert result.wait(30).status == "FAILED"
    assert counts(result) == ("FAILED", 3, 0, 3)
    assert exceptions(result) == ["JobLost"] * 3
    assert "3 of at most 3 losses" in row_of(result).reason
    assert ("SIGKILL" if task is usual.kill_process else "exited with code 3") in row_of(result).reason
    assert wait_for_results(others) == [1, 2, 3, 4, 5]
    assert [row_of(other).losses for other in others] == [0] * 5


def test_an_atomic_job_leaves_its_effects_with_its_completion_only(worker: WorkerProcess) -> None:
    kept = usual.leave_effect_atomically.enqueue("kept")
    failed = usual.leave_effect_and_boom.enqueue("undone")
    unstorable = tasks.return_unstorable_atomically.enqueue("unstorable")
    assert kept.wait(30).status == "SUCCESSFUL"
    assert (failed.wait(30).status, unstorable.wait(30).status) == ("FAILED", "FAILED")
    assert counts(failed) == ("FAILED", 3, 3, 0)
    assert list(Effect.objects.values_list("label", flat=True)) == ["kept"]


@pytest.mark.parametrize("attempts", [1, 3])
def test_what_cannot_be_stored_fails_at_the_first_attempt(start_worker: StartWorker, attempts: int) -> None:
    start_worker("--concurrency", "1", options={"max_payload": 10_000})
    unserializable = usual.return_unserializable.using(max_attempts=attempts).enqueue().wait(30)
    large = usual.return_text.using(max_attempts=attempts).enqueue(10_001).wait(30)
    fits = usual.return_text.enqueue(9_000).wait(30)
    assert [counts(result) for result in (unserializable, large)] == [("FAILED", 1, 1, 0)] * 2
    assert (exceptions(unserializable), exceptions(large)) == (["TypeError"], ["PayloadTooLarge"])
    assert "the return value" in row_of(unserializable).reason
    assert "10,003" in row_of(large).reason or "10003" in row_of(large).reason
    assert len(fits.return_value) == 9_000


def test_results_need_not_be_kept(worker: WorkerProcess) -> None:
    result = usual.return_unserializable.using(store_result=False).enqueue().wait(30)
    assert (result.status, result.return_value) == ("SUCCESSFUL", None)


# jobs that no enqueue() of this project would write


def test_an_unknown_task_is_parked_with_the_reason_then_fails(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "2", options={"unknown_task_delay": 0.5, "unknown_task_grace": 3})
    paths = [
        "tests.tasks.not_there",
        "not_there.tasks.at_all",
        "tests.worker.broken.unreachable",
        "tests.workers.ROOT",
        "nodot",
    ]
    keys = [insert_job(path).id for path in paths]
    wait_for(lambda: not Job.objects.exists(), "the jobs to fail")
    for key, path in zip(keys, paths, strict=True):
        row = Result.objects.get(id=key)
        assert row.status == ResultStatus.FAILED
        # To be parked, however often, costs nothing.
        assert (row.attempt, row.failures, row.losses) == (1, 1, 0)
        assert path in row.reason
        assert [error["kind"] for error in row.errors] == ["parked", "parked"]
        assert {error["exception"] for error in row.errors} == {"django_tasks_q.exceptions.UnknownTask"}
        assert row.finished_at - row.enqueued_at > timedelta(seconds=2.9)
    assert usual.add.enqueue(1, 2).wait(30).return_value == 3


CORRUPT = {
    "args is a dict": {"args": {"a": 1}},
    "args is text": {"args": "text"},
    "kwargs is a list": {"kwargs": [1]},
    "kwargs is a number": {"kwargs": 1},
    "metadata is a list": {"metadata": [1]},
    "errors is a dict": {"errors": {"a": 1}},
    "errors holds numbers": {"errors": [1, 2]},
    "options is a list": {"options": [1]},
    "options has an unknown name": {"options": {"nonsense": 1}},
    "options has a wrong value": {"options": {"timeout": "soon"}},
    "options has a wrong backoff": {"options": {"backoff": {"kind": "nonsense"}}},
    "options has no backoff": {"options": {"backoff": 5}},
    "options has an unknown exception": {"options": {"retry_on": ["not.there"]}},
    "options has a number for an exception": {"options": {"retry_on": [1]}},
    "options has no exception": {"options": {"retry_on": ["os.path"]}},
}
# What does not keep a task from running is let by.
ODD = {"errors holds strange dicts": {"errors": [{"exception": 1}]}, "priority is too high": {"priority": 1000}}


def test_a_corrupt_job_fails_and_the_worker_is_unharmed(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1")
    first = usual.process_id.enqueue().wait(30).return_value
    keys = {insert_job("tests.tasks.noop", **columns).id: name for name, columns in (CORRUPT | ODD).items()}
    wait_for(lambda: not Job.objects.exists(), "the corrupt jobs to end")

    rows = {keys[row.id]: row for row in Result.objects.filter(id__in=keys)}
    ends = {name: (row.status, row.attempt, row.losses) for name, row in rows.items()}
    assert ends == dict.fromkeys(CORRUPT, ("FAILED", 1, 0)) | dict.fromkeys(ODD, ("SUCCESSFUL", 1, 0))
    told = {name: rows[name].reason for name in CORRUPT}
    # The one that no error can be added to is refused by some databases.
    assert all(re.match("CorruptJob: |The database refused", reason) for reason in told.values()), told
    assert usual.process_id.enqueue().wait(30).return_value == first
