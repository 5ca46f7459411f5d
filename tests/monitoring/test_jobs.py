import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_tasks_q.control.jobs import cancel
from django_tasks_q.exceptions import JobNotFound
from django_tasks_q.lifecycle import JobStatus, ResultStatus
from django_tasks_q.models import Job, Result
from django_tasks_q.monitoring import counts
from django_tasks_q.monitoring.counts import Count, Precision
from django_tasks_q.monitoring.jobs import count_jobs, find, list_jobs

from .. import scenes
from ..tasks import add

pytestmark = pytest.mark.django_db


def ids(rows: Sequence[Any]) -> list[uuid.UUID]:
    return [row.id for row in rows]


# find


def test_find_knows_both_tables_and_both_kinds_of_id() -> None:
    [job_id], [result_id] = scenes.jobs(), scenes.results()
    assert isinstance(find(job_id), Job)
    assert isinstance(find(str(result_id)), Result)


def test_find_names_the_id_that_is_not_there() -> None:
    missing = uuid.uuid4()
    with pytest.raises(JobNotFound, match=str(missing)):
        find(missing)


@pytest.mark.parametrize("text", ["", "abc", "1", "é", "0" * 33, "x" * 36])
def test_find_says_that_an_id_is_none(text: str) -> None:
    with pytest.raises(JobNotFound, match="is not the id of a job"):
        find(text)


def test_find_looks_at_one_backend(settings: Any) -> None:
    settings.TASKS = {"default": settings.TASKS["default"], "other": settings.TASKS["default"]}
    [job_id] = scenes.jobs()
    with pytest.raises(JobNotFound, match='of the backend "other"'):
        find(job_id, "other")


# list_jobs


def test_the_newest_come_first_by_their_end_or_else_their_beginning() -> None:
    [old] = scenes.results(seconds_ago=200)
    [recent] = scenes.results(status=ResultStatus.FAILED, seconds_ago=100)
    [held], [ready] = scenes.running(), scenes.jobs()
    cancel([cancelled := scenes.jobs()[0]])
    assert ids(list_jobs()) == [cancelled, ready, held, recent, old]


def test_the_limit_is_for_both_tables_together() -> None:
    [held], [ready] = scenes.running(), scenes.jobs()
    scenes.results(3, seconds_ago=100)
    assert ids(list_jobs(limit=2)) == [ready, held]
    assert len(list_jobs(limit=4)) == 4


@pytest.mark.parametrize("status", [*JobStatus.values, *ResultStatus.values])
def test_each_status_can_be_asked_for(status: str) -> None:
    scenes.running(2)
    scenes.jobs(2)
    scenes.jobs(2, run_after=timedelta(hours=1))
    Job.objects.filter(pk__in=scenes.jobs(2)).update(status=JobStatus.WAITING)
    for each in ResultStatus.values:
        scenes.results(2, each)
    assert [row.status for row in list_jobs(statuses=[status])] == [status] * 2


def test_several_statuses_of_both_kinds() -> None:
    [failed], _ = scenes.results(1, ResultStatus.FAILED, seconds_ago=100), scenes.results(1)
    [ready], _ = scenes.jobs(), scenes.jobs(run_after=timedelta(hours=1))
    assert ids(list_jobs(statuses=["READY", "FAILED"])) == [ready, failed]


def test_queue_and_task_narrow_the_list() -> None:
    [mail] = scenes.jobs(queue_name="mail")
    [added] = scenes.results(1, task=add, args=(1, 2), seconds_ago=100)
    [added_mail] = scenes.results(1, task=add, args=(1, 2), queue_name="mail", seconds_ago=50)
    scenes.results(1)
    assert ids(list_jobs(queue="mail")) == [mail, added_mail]
    assert ids(list_jobs(task="tests.tasks.add")) == [added_mail, added]
    assert ids(list_jobs(task="tests.tasks.add", queue="mail")) == [added_mail]
    assert ids(list_jobs(task="tests.tasks.add", statuses=["FAILED"])) == []
    assert ids(list_jobs(task="tests.tasks")) == []


def test_payloads_are_not_loaded() -> None:
    scenes.jobs()
    scenes.results()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        list_jobs()
    statements = " ".join(query["sql"] for query in captured)
    assert not [name for name in ("args", "errors", "return_value") if f"{name}" in statements]


def test_by_metadata_and_number_of_runs() -> None:
    [first] = scenes.results(metadata={"tenant": 7, "plan": "free"})
    [second] = scenes.jobs(metadata={"tenant": "7", "a__b'": "x"})
    scenes.jobs(metadata={"tenant": 70})
    assert set(ids(list_jobs(metadata={"tenant": "7"}))) == {first, second}
    assert ids(list_jobs(metadata={"tenant": "7", "plan": "free"})) == [first]
    assert ids(list_jobs(metadata={"a__b'": "x"})) == [second]
    assert list_jobs(retried=True) == []
    Result.objects.update(attempt=2)
    assert ids(list_jobs(retried=True)) == [first]


# count_jobs


def test_live_jobs_are_counted() -> None:
    scenes.running(2)
    scenes.jobs(3, queue_name="mail")
    scenes.results(1)
    assert count_jobs() == Count(5)
    assert count_jobs(queue="mail", task="tests.tasks.noop") == Count(3)
    assert count_jobs(statuses=[JobStatus.RUNNING]) == Count(2)


def test_many_live_jobs_have_a_lower_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counts, "BOUND", 4)
    scenes.jobs(5)
    assert count_jobs() == Count(4, Precision.AT_LEAST)
