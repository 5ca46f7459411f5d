"""What running jobs report about themselves, on every database."""

import json
from typing import Any
from uuid import UUID

import pytest

from django_tasks_q.brokers.values import LogLines
from django_tasks_q.models import Job, JobLog, Result

from .conftest import Put, make_outcomes

pytestmark = pytest.mark.django_db


def said(done: int, message: str = "it's 100% \\ é 👍 \" \ufffd") -> str:
    return json.dumps({"done": done, "total": None, "message": message, "at": "2026-01-01T00:00:00+00:00"})


def test_progress_of_many_is_written_at_once(broker: Any, put: Put, django_assert_num_queries: Any) -> None:
    put(5)
    jobs = broker.claim("w1", "default", 4)
    with django_assert_num_queries(1):
        broker.save_progress("w1", {job.id: said(number) for number, job in enumerate(jobs[:3])})
    rows = [Job.objects.get(id=job.id).progress for job in jobs]
    assert rows == [*(json.loads(said(number)) for number in range(3)), None]


def test_nothing_said_is_no_statement(broker: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        broker.save_progress("w1", {})


def test_only_the_owner_of_a_running_job_says_how_far_it_is(broker: Any, put: Put) -> None:
    put(3)
    (mine,), (theirs,), (over,) = (broker.claim(worker_id, "default", 1) for worker_id in ("w1", "w2", "w1"))
    broker.finish("w1", make_outcomes([over], "READY"))
    broker.save_progress("w1", {job.id: said(1) for job in (mine, theirs, over)})
    assert [Job.objects.get(id=job.id).progress is None for job in (mine, theirs, over)] == [False, True, True]


@pytest.mark.parametrize("status", ["SUCCESSFUL", "FAILED", "CANCELLED"])
def test_progress_goes_along_into_the_history_and_not_back(broker: Any, put: Put, status: str) -> None:
    put(2)
    first, second = broker.claim("w1", "default", 2)
    broker.save_progress("w1", {first.id: said(3)})
    if status == "CANCELLED":
        broker.cancel([first.id])
    broker.finish("w1", make_outcomes([first, second], "READY" if status == "CANCELLED" else status))
    row = Result.objects.get(id=first.id)
    assert (row.status, row.progress) == (status, json.loads(said(3)))
    broker.requeue([first.id])
    assert Job.objects.get(id=first.id).progress is None


# append_logs

LINES = [[1.5, "INFO", "shop", "it's 100% \\ é 👍 \" \ufffd"], [2, "", "", ""]]


def logged(job: Any, lines: Any = LINES, attempt: int | None = None) -> LogLines:
    return LogLines(job.id, attempt or job.attempt, json.dumps(lines))


def rows() -> list[tuple[str, int, Any]]:
    found = JobLog.objects.order_by("id").values_list("job_id", "attempt", "entries")
    return [(str(key), attempt, entries) for key, attempt, entries in found]


def test_lines_of_many_are_added_at_once(broker: Any, put: Put, django_assert_num_queries: Any) -> None:
    put(5)
    jobs = broker.claim("w1", "default", 4)
    with broker.transaction(), django_assert_num_queries(2):
        broker.append_logs("w1", [logged(job) for job in jobs[:3]])
    broker.append_logs("w1", [logged(jobs[0], [])])
    assert sorted(rows()) == sorted([*((job.id, 1, LINES) for job in jobs[:3]), (jobs[0].id, 1, [])])


def test_very_many_lines_are_added(broker: Any, put: Put) -> None:
    put(450)
    jobs = broker.claim("w1", "default", 450)
    broker.append_logs("w1", [logged(job) for job in jobs])
    (large,) = broker.claim("w1", "default", 1) if put(1) else []
    broker.append_logs("w1", [logged(large, [[1.0, "INFO", "shop", "\x01" * 65_536]] * 16)])
    assert JobLog.objects.count() == 451
    assert len(JobLog.objects.get(job_id=UUID(large.id)).entries) == 16


def test_nothing_logged_is_no_statement(broker: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        broker.append_logs("w1", [])


def test_only_the_owner_of_a_running_job_adds_lines_to_this_run(broker: Any, put: Put) -> None:
    put(3)
    (mine,), (theirs,), (over,) = (broker.claim(worker_id, "default", 1) for worker_id in ("w1", "w2", "w1"))
    broker.finish("w1", make_outcomes([over], "SUCCESSFUL"))
    broker.append_logs("w1", [*map(logged, (mine, theirs, over)), logged(mine, attempt=2)])
    assert rows() == [(mine.id, 1, LINES)]


def test_lines_stay_with_a_requeued_job_and_go_with_its_result(broker: Any, put: Put) -> None:
    put(3)
    first, second, third = broker.claim("w1", "default", 3)
    broker.append_logs("w1", [*map(logged, (first, second, third))])
    broker.finish("w1", make_outcomes([first, second], "FAILED"))
    broker.requeue([first.id])
    assert len(rows()) == 3
    assert broker.delete_results([second.id, first.id]) == 1
    assert [key for key, _, _ in rows()] == sorted([first.id, third.id])
    (again,) = broker.claim("w1", "default", 1)
    broker.append_logs("w1", [logged(again)])
    assert [attempt for key, attempt, _ in rows() if key == first.id] == [1, 2]
    # A cancelled job has a result too.
    broker.cancel([third.id])
    broker.finish("w1", make_outcomes([again, third], "READY"))
    broker.cancel([first.id])
    assert broker.prune(["CANCELLED"], -60) == 2
    assert rows() == []


def test_a_result_that_is_pruned_takes_its_lines_along_and_no_others(broker: Any, put: Put) -> None:
    put(3)
    jobs = broker.claim("w1", "default", 3)
    broker.append_logs("w1", [*map(logged, jobs)])
    broker.finish("w1", make_outcomes(jobs[:2], "SUCCESSFUL"))
    assert broker.prune(["SUCCESSFUL"], -60, limit=1) == 1
    kept = {str(key) for key in Result.objects.values_list("id", flat=True)} | {jobs[2].id}
    assert {key for key, _, _ in rows()} == kept


def test_of_a_job_that_runs_for_ever_the_last_runs_are_kept(broker: Any, put: Put) -> None:
    put(1)
    most = broker.options.max_errors
    for _ in range(most + 3):
        (job,) = broker.claim("w1", "default", 1)
        broker.append_logs("w1", [logged(job)])
        broker.finish("w1", make_outcomes([job], "READY"))
    assert [attempt for _, attempt, _ in rows()] == [*range(4, most + 4)]
