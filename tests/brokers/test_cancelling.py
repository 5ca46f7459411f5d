"""What happens to a running job that is to be cancelled, on every database."""

import json
import random
from typing import Any

import pytest
from django.utils import timezone

from django_tasks_q.brokers import get_broker
from django_tasks_q.lifecycle import Ending
from django_tasks_q.models import Job, Result

from .conftest import Put, make_outcomes, make_spec
from .test_concurrency import at_once
from .test_conformance import error, ids

pytestmark = pytest.mark.django_db
WHY = "Cancelled by Ann."


@pytest.fixture
def running(broker: Any, put: Put) -> Any:
    """A job that runs, and is to be cancelled."""
    put(args='["é"]', metadata='{"m": 1}')
    (job,) = broker.claim("w1", "default", 1)
    assert broker.cancel([job.id], reason=WHY) == (set(), {job.id})
    return job


def test_a_running_job_gets_a_mark_and_goes_on(broker: Any, running: Any) -> None:
    row = Job.objects.get()
    assert (row.status, row.worker_id, row.cancel_reason) == ("RUNNING", "w1", WHY)
    assert abs((row.cancel_requested_at - timezone.now()).total_seconds()) < 60
    assert not Result.objects.exists()


def test_who_asks_first_is_who_did(broker: Any, running: Any) -> None:
    before = Job.objects.get().cancel_requested_at
    assert broker.cancel([running.id], reason="Cancelled by Bob.") == (set(), {running.id})
    assert (Job.objects.get().cancel_reason, Job.objects.get().cancel_requested_at) == (WHY, before)


def test_the_owner_finds_what_is_to_be_cancelled_of_its_own(broker: Any, put: Put, running: Any) -> None:
    put(2)
    mine, theirs = broker.claim("w1", "default", 1) + broker.claim("w2", "default", 1)
    broker.cancel([theirs.id])
    asked = [running.id, mine.id, theirs.id]
    assert broker.find_cancelled("w1", asked) == {running.id}
    assert broker.find_cancelled("w2", asked) == {theirs.id}
    assert broker.find_cancelled("w1", [mine.id]) == broker.find_cancelled("w1", []) == set()


@pytest.mark.parametrize("status", ["FAILED", "READY", "SCHEDULED"])
def test_whatever_is_not_a_success_ends_cancelled(broker: Any, running: Any, status: str) -> None:
    outcomes = make_outcomes([running], status, error=error(), ending=Ending.ERROR, retry_in=60, reason="ValueError")
    recorded = broker.finish("w1", outcomes)
    assert (recorded.finished, recorded.retried, recorded.cancelled) == ({running.id}, set(), {running.id: WHY})
    actual = recorded.actual(outcomes[0])
    assert (actual.status, actual.reason, actual.retry_in) == ("CANCELLED", WHY, 0)
    # The worker expected it to run again, and so has not announced its end.
    assert actual.was_announced == (status == "FAILED")

    assert not Job.objects.exists()
    row = Result.objects.get()
    assert (row.status, row.reason, row.worker_id, row.attempt) == ("CANCELLED", WHY, "w1", 1)
    assert (row.failures, row.losses, row.return_value) == (1, 0, None)
    assert (row.errors, row.args, row.metadata) == ([json.loads(error())], ["é"], {"m": 1})
    assert abs((row.finished_at - outcomes[0].finished_at).total_seconds()) < 0.01


def test_a_success_stays_one(broker: Any, running: Any) -> None:
    recorded = broker.finish("w1", make_outcomes([running], "SUCCESSFUL", return_value="1"))
    assert (recorded.finished, recorded.cancelled) == ({running.id}, {})
    row = Result.objects.get()
    assert (row.status, row.return_value, row.reason) == ("SUCCESSFUL", 1, "")


def test_what_never_started_is_charged_nothing(broker: Any, running: Any) -> None:
    assert not broker.release("w1", [running]).retried
    row = Result.objects.get()
    assert (row.status, row.reason, row.attempt, row.worker_id) == ("CANCELLED", WHY, 0, None)
    assert (row.started_at, row.last_attempted_at) == (None, None)


def test_a_batch_of_every_kind(broker: Any, put: Put) -> None:
    put(6)
    jobs = broker.claim("w1", "default", 6)
    broker.cancel([job.id for job in jobs[:3]], reason=WHY)
    outcomes = [
        outcome
        for job, status in zip(jobs, ["SUCCESSFUL", "FAILED", "READY"] * 2, strict=True)
        for outcome in make_outcomes([job], status, return_value="1")
    ]
    recorded = broker.finish("w1", outcomes)
    assert recorded.finished == {job.id for job in jobs[:5]}
    assert (recorded.retried, set(recorded.cancelled)) == ({jobs[5].id}, {jobs[1].id, jobs[2].id})
    statuses = [Result.objects.get(id=job.id).status for job in jobs[:5]]
    assert statuses == ["SUCCESSFUL", "CANCELLED", "CANCELLED", "SUCCESSFUL", "FAILED"]
    assert ids(Job.objects.all()) == [jobs[5].id]


@pytest.mark.parametrize("worker_id", ["w1", "w2"])
def test_the_fence_holds_for_a_cancelled_job_too(broker: Any, running: Any, worker_id: str) -> None:
    """Another worker, or another attempt of the same one, does not end it."""
    attempt = running.attempt + (worker_id == "w1")
    outcomes = [outcome._replace(attempt=attempt) for outcome in make_outcomes([running], "READY")]
    assert running.id not in broker.finish(worker_id, outcomes)
    assert Job.objects.get().cancel_reason == WHY


def test_a_requeued_job_is_not_cancelled_any_more(broker: Any, running: Any) -> None:
    broker.finish("w1", make_outcomes([running], "FAILED"))
    broker.requeue([running.id])
    row = Job.objects.get()
    assert (row.status, row.cancel_requested_at, row.cancel_reason) == ("READY", None, None)
    (again,) = broker.claim("w1", "default", 1)
    assert broker.find_cancelled("w1", [again.id]) == set()
    assert broker.finish("w1", make_outcomes([again], "READY")).retried == {again.id}


def test_a_long_reason_is_cut(broker: Any, put: Put) -> None:
    put(1)
    (job,) = broker.claim("w1", "default", 1)
    broker.cancel([job.id], reason="é" * 1_000)
    broker.finish("w1", make_outcomes([job], "FAILED"))
    assert Result.objects.get().reason == "é" * 500


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", ["SUCCESSFUL", "FAILED", "READY"])
def test_cancel_at_the_moment_of_the_end(transactional_db: None, status: str) -> None:
    """Two who cancel, and the worker that records: each job comes to one end, and nobody was told another one."""
    broker = get_broker("default")
    specs = [make_spec() for _ in range(60)]
    broker.enqueue(specs)
    jobs = broker.claim("w1", "default", 60)
    everything = [spec.id for spec in specs]

    def finish() -> dict[str, str]:
        ended: dict[str, str] = {}
        for job in jobs:
            recorded = broker.finish("w1", make_outcomes([job], status))
            assert job.id in recorded
            ended[job.id] = recorded.actual(make_outcomes([job], status)[0]).status
        return ended

    def cancel() -> tuple[set[str], set[str]]:
        done: set[str] = set()
        asked: set[str] = set()
        for job_id in random.sample(everything, len(everything)):
            cancelled = broker.cancel([job_id], reason=WHY)
            done |= cancelled.done
            asked |= cancelled.asked
        return done, asked

    ended, (done, asked), (done_too, asked_too) = at_once(finish, cancel, cancel)
    rows = {str(row.id): row.status for row in [*Result.objects.all(), *Job.objects.all()]}
    assert set(rows) == set(everything)
    assert not done & done_too
    for job_id, found in rows.items():
        if job_id in done | done_too:
            # It had gone back before.
            assert (ended[job_id], found) == ("READY", "CANCELLED")
        elif job_id in asked | asked_too and status != "SUCCESSFUL":
            assert (ended[job_id], found) == ("CANCELLED", "CANCELLED")
        else:
            assert ended[job_id] == found == status
