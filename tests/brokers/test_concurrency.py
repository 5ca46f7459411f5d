"""What holds where several sessions work at once, each with a connection of its own."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import LogLines
from django_tasks_q.lifecycle import Ending
from django_tasks_q.models import Job, JobLog, Result
from tests.waiting import LIMIT

from .conftest import Put, make_outcomes, make_spec

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def broker(transactional_db: None) -> Any:
    return get_broker("default")


def at_once(*functions: Callable[[], Any]) -> list[Any]:
    """Run each function in a thread of its own, with a connection of its own, all let go at the same moment."""
    barrier = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> Any:
        try:
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT 1")
            barrier.wait(30)
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(60) for future in [pool.submit(run, function) for function in functions]]


@contextmanager
def meanwhile(function: Callable[[], Any]) -> Iterator[Callable[[], Any]]:
    """Run a function in another thread and connection while the block runs; yield what waits for its answer."""

    def run() -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        yield lambda: future.result(30)


def test_no_job_is_claimed_twice(broker: Any, put: Put) -> None:
    specs = put(600)

    def claim_all(worker_id: str) -> list[str]:
        claimed: list[str] = []
        while jobs := broker.claim(worker_id, "default", 7):
            claimed += [job.id for job in jobs]
        return claimed

    shares = at_once(*(lambda worker_id=f"w{number}": claim_all(worker_id) for number in range(4)))
    counts = Counter(job_id for share in shares for job_id in share)
    assert counts == dict.fromkeys([spec.id for spec in specs], 1)
    for number, share in enumerate(shares):
        assert {str(job.id) for job in Job.objects.filter(worker_id=f"w{number}")} == set(share)


def test_no_job_is_finished_twice(broker: Any, put: Put) -> None:
    put(200)
    outcomes = make_outcomes(broker.claim("w1", "default", 200), "SUCCESSFUL")
    backwards = outcomes[::-1]
    recorded = at_once(lambda: broker.finish("w1", outcomes), lambda: broker.finish("w1", backwards))
    counts = Counter(job_id for answer in recorded for job_id in answer.finished)
    assert counts == dict.fromkeys([outcome.id for outcome in outcomes], 1)
    assert Result.objects.count() == 200


def test_a_job_is_either_claimed_or_cancelled(broker: Any, put: Put) -> None:
    specs = put(200)

    def claim_all() -> set[str]:
        claimed: set[str] = set()
        while jobs := broker.claim("w1", "default", 5):
            claimed |= {job.id for job in jobs}
        return claimed

    def cancel_all() -> set[str]:
        cancelled: set[str] = set()
        for start in range(195, -5, -5):
            cancelled |= broker.cancel([spec.id for spec in specs[start : start + 5]], running=False).done
        return cancelled

    claimed, cancelled = at_once(claim_all, cancel_all)
    assert claimed | cancelled == {spec.id for spec in specs}
    assert not claimed & cancelled
    assert {str(job.id) for job in Job.objects.filter(status="RUNNING")} == claimed
    assert {str(result.id) for result in Result.objects.filter(status="CANCELLED")} == cancelled


def test_a_result_is_requeued_once(broker: Any, put: Put) -> None:
    specs = put(50)
    broker.finish("w1", make_outcomes(broker.claim("w1", "default", 50), "FAILED"))
    ids = [spec.id for spec in specs]
    answers = at_once(lambda: broker.requeue(ids), lambda: broker.requeue(ids[::-1]))
    assert sum(len(answer) for answer in answers) == 50
    assert Job.objects.count() == 50


def test_no_line_outlives_its_result(broker: Any, put: Put) -> None:
    """Not even of a worker that was presumed dead, and goes on logging while others end its jobs and delete them."""
    put(100)
    jobs = broker.claim("w1", "default", 100)

    def log() -> None:
        for start in [*range(0, 100, 5)] * 3:
            broker.append_logs("w1", [LogLines(job.id, 1, "[]") for job in jobs[start : start + 5]])

    def delete() -> None:
        for start in range(0, 100, 5):
            outcomes = make_outcomes(jobs[start : start + 5], "FAILED")
            broker.delete_results(broker.finish("w1", outcomes).finished)

    at_once(log, log, delete)
    assert Result.objects.count() == 0
    assert JobLog.objects.count() == 0


def test_a_job_is_promoted_once(broker: Any) -> None:
    now = timezone.now()
    past = {"run_after": now - timedelta(seconds=1), "enqueued_at": now - timedelta(hours=1)}
    broker.enqueue([make_spec(**past) for _ in range(300)])

    def promote_all() -> int:
        promoted = 0
        while count := broker.promote(limit=20):
            promoted += count
        return promoted

    answers = at_once(promote_all, promote_all, promote_all)
    left = broker.promote(limit=1_000)
    assert sum(answers) + left == 300
    assert Job.objects.filter(status="READY").count() == 300


def test_everything_at_once_comes_to_a_good_end(broker: Any) -> None:
    def produce() -> int:
        for number in range(40):
            broker.enqueue([make_spec(priority=number % 3) for _ in range(5)])
        return 200

    deadline = time.monotonic() + LIMIT

    def work(worker_id: str) -> int:
        finished = 0
        while Result.objects.count() < 400 and time.monotonic() < deadline:
            jobs = broker.claim(worker_id, "default", 11)
            again = [job for job in jobs if job.attempt == 1 and uuid.UUID(job.id).int % 4 == 0]
            done = [job for job in jobs if job not in again]
            outcomes = [*make_outcomes(done, "SUCCESSFUL"), *make_outcomes(again, "READY", ending=Ending.ERROR)]
            finished += len(broker.finish(worker_id, outcomes).finished)
        return finished

    answers = at_once(produce, produce, lambda: work("w1"), lambda: work("w2"), lambda: work("w3"))
    assert sum(answers[2:]) == 400
    assert not Job.objects.exists()
    assert {row.attempt for row in Result.objects.all() if row.id.int % 4 == 0} == {2}


@pytest.mark.only_on("postgresql", "mysql")
def test_claim_passes_by_what_another_session_has_locked(broker: Any, put: Put) -> None:
    first, second = put(5, priority=1), put(5)
    with transaction.atomic():
        mine = broker.claim("w1", "default", 5)
        with meanwhile(lambda: broker.claim("w2", "default", 5)) as answer:
            theirs = answer()
    assert [job.id for job in mine] == [spec.id for spec in first]
    assert [job.id for job in theirs] == [spec.id for spec in second]


@pytest.mark.only_on("postgresql", "mysql")
def test_an_open_enqueue_delays_nobody(broker: Any, put: Put) -> None:
    (ready,) = put()
    with transaction.atomic():
        broker.enqueue([make_spec(priority=9)])
        with meanwhile(lambda: broker.claim("w1", "default", 5)) as answer:
            assert [job.id for job in answer()] == [ready.id]
        with meanwhile(lambda: broker.enqueue([make_spec()])) as answer:
            answer()
    assert len(broker.claim("w1", "default", 5)) == 2


def test_what_is_claimed_in_an_undone_transaction_is_ready_again(broker: Any, put: Put) -> None:
    put(5)
    with transaction.atomic():
        assert len(broker.claim("w1", "default", 5)) == 5
        transaction.set_rollback(True)
    jobs = broker.claim("w2", "default", 5)
    assert [job.attempt for job in jobs] == [1] * 5
