"""Rows that another client has written: the worker and the admin survive them, and the others run."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from django_tasks_q.brokers.values import Outcome
from django_tasks_q.ids import uuid7
from django_tasks_q.lifecycle import Ending, JobStatus, ResultStatus
from django_tasks_q.models import Job, Result
from tests import hypotheses, tasks
from tests.admin.conftest import one_backend
from tests.admin.pages import address
from tests.conftest import StartWorker
from tests.hypotheses import NAMES, examples
from tests.waiting import LIMIT, wait_for

__all__ = ["one_backend"]

MOST = 2**31 - 1
# None would be NULL, which the columns refuse.
JSON = hypotheses.JSON.filter(lambda value: value is not None)
COUNTS = st.sampled_from([0, 1, 2, MOST - 1, MOST])
PATHS = st.sampled_from(["tests.tasks.noop", "tests.tasks.boom", "tests.tasks.boom_thrice"])
ERRORS = JSON | st.lists(st.fixed_dictionaries({}, optional={
    "exception": JSON, "traceback": JSON, "worker": JSON, "attempt": JSON, "kind": JSON | st.just("parked"),
    "started_at": JSON, "finished_at": JSON,
}), max_size=3)  # fmt: skip
STATUSES = st.just("READY") | st.sampled_from(["SCHEDULED", "RUNNING", "WAITING", "", "ready", "ODD", "SUCCESSFUL"])
ROWS = st.fixed_dictionaries(
    {"task_path": PATHS | NAMES, "status": STATUSES},
    optional={
        "args": JSON | st.lists(JSON, max_size=2),
        "kwargs": JSON | st.dictionaries(NAMES, JSON, max_size=2),
        "options": JSON | st.dictionaries(st.sampled_from(["timeout", "retry_on", "backoff", "max_attempts"]), JSON),
        "metadata": JSON,
        "errors": ERRORS,
        "queue_name": NAMES,
        "priority": st.integers(-(2**15), 2**15 - 1),
        "worker_id": NAMES | st.none(),
        "attempt": COUNTS,
        "failures": COUNTS,
        "losses": st.sampled_from([0, 1, 2, 32_766, 32_767]),
        "reason": NAMES,
        "due_at": st.none() | st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC)),
        "run_after": st.none() | st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC)),
        "started_at": st.none() | st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC)),
    },
)


def insert(rows: list[dict[str, Any]]) -> None:
    Job.objects.bulk_create(Job(id=uuid7(), **{"enqueued_at": timezone.now(), **row}) for row in rows)


def waiting() -> list[Any]:
    """Return the jobs that a worker should have taken: an empty name is no queue's."""
    return list(Job.objects.filter(status=JobStatus.READY).exclude(queue_name="").values())


def test_a_worker_survives_any_row(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2")

    @examples(2, shrink=False)
    @given(rows=st.lists(ROWS, min_size=20, max_size=30))
    def survives(rows: list[dict[str, Any]]) -> None:
        insert(rows)
        sound = [tasks.add.enqueue(1, number) for number in range(3)]
        assert [result.wait(LIMIT).return_value for result in sound] == [1, 2, 3]
        wait_for(lambda: not waiting(), "every ready row to be taken")
        wait_for(lambda: not Job.objects.filter(status="RUNNING", worker_id=worker.row.id).exists(), "an end")
        assert worker.process.poll() is None
        assert 'Traceback (most recent call last):\n  File "<frozen' not in worker.output
        assert not Result.objects.exclude(status__in=ResultStatus.values).exists()
        Job.objects.all().delete()
        Result.objects.all().delete()

    survives()
    assert worker.stop() == 0


@pytest.mark.django_db
@examples(12)
@given(job=ROWS, other=ROWS)
def test_the_admin_shows_any_row(admin_client: Client, job: dict[str, Any], other: dict[str, Any]) -> None:
    insert([job])
    result = {name: value for name, value in other.items() if name != "due_at"}
    row = Result(id=uuid7(), **{"enqueued_at": timezone.now(), "finished_at": timezone.now(), **result})
    row.save(force_insert=True)
    for model, key in (("job", Job.objects.get().pk), ("result", row.pk)):
        assert admin_client.get(address(model)).status_code == 200
        assert admin_client.get(address(model, "change", key)).status_code == 200
    assert admin_client.get(address("queue")).status_code == 200
    Job.objects.all().delete()
    Result.objects.all().delete()


@pytest.mark.django_db
def test_counters_stop_at_what_their_columns_hold(broker: Any) -> None:
    insert([{"task_path": "tests.tasks.noop", "attempt": MOST, "failures": MOST, "losses": 32_767}])
    now = broker.dialect.now()
    for status in (JobStatus.READY, ResultStatus.FAILED):
        (job,) = broker.claim("w1", "default", 1)
        assert job.attempt == MOST
        outcome = Outcome(job.id, job.attempt, Ending.LOST, status, now, now, is_refused=True)
        assert job.id in broker.finish("w1", [outcome])
    row = Result.objects.get()
    assert (row.attempt, row.failures, row.losses) == (MOST, MOST, 32_767)


@pytest.mark.django_db
def test_nothing_waits_for_a_job_without_a_time(broker: Any) -> None:
    insert([{"task_path": "tests.tasks.noop", "status": "SCHEDULED", "due_at": None}])
    assert broker.next_due() is None
    assert broker.promote() == 0
    tasks.noop.using(run_after=timedelta(hours=1)).enqueue()
    assert 3_500 < broker.next_due() <= 3_600
