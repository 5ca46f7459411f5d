"""What cannot be recorded together is recorded in parts, and none of them holds up another one."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_tasks_q.brokers import get_broker
from django_tasks_q.lifecycle import ResultStatus
from django_tasks_q.models import Job, Result
from django_tasks_q.services.registry import Identity, Registry
from django_tasks_q.worker.recording import salvage as module
from django_tasks_q.worker.recording.recorder import Recorder

from ..brokers.conftest import make_outcomes
from ..brokers.test_concurrency import meanwhile
from ..scenes import claim, jobs
from ..waiting import wait_for

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def recorder(transactional_db: None) -> Recorder:
    broker = get_broker("default")
    registry = Registry(broker, Identity("test", [], [], 1))
    registry.register()
    return Recorder(broker, registry)


def hold(recorder: Recorder, count: int, *, status: str = "SUCCESSFUL") -> list[Any]:
    """Let so many jobs have ended; return them."""
    jobs(count)
    claimed = claim(count, worker=recorder.registry.worker_id)
    for job, outcome in zip(claimed, make_outcomes(claimed, status), strict=True):
        recorder.hold(job, outcome)
    return claimed


def try_to_record(recorder: Recorder, disturb: Callable[[], object] = lambda: None) -> None:
    """Do what the worker does in a round. disturb: called in its transaction."""
    try:
        with recorder.broker.transaction():
            disturb()
            recorded = recorder.record()
    except (DatabaseError, InterfaceError) as error:
        recorder.note_failure(error)
    else:
        recorder.settle(recorded)


def finish_all(recorder: Recorder) -> None:
    def is_empty() -> bool:
        recorder.run_salvage()
        return recorder.is_empty

    wait_for(is_empty, "all to be recorded")


def test_one_that_is_refused_is_found_in_a_few_steps(recorder: Recorder) -> None:
    hold(recorder, 100)
    bad, outcome = recorder.held[61]
    recorder.held[61] = bad, outcome._replace(return_value="{broken")
    with CaptureQueriesContext(connections["default"]) as queries:
        try_to_record(recorder)
        assert (recorder.held, len(recorder.salvage)) == ([], 100)
        finish_all(recorder)
    # Halves of halves, and not a hundred transactions.
    finishes = [query for query in queries if "INSERT INTO" in query["sql"] and "result" in query["sql"]]
    assert len(finishes) <= 20
    ended = dict(Result.objects.values_list("id", "status"))
    failed = [str(key) for key, status in ended.items() if status == ResultStatus.FAILED]
    assert (len(ended), failed) == (100, [bad.id])
    assert recorder.finished == 100


@pytest.mark.only_on("postgresql", "mysql")
def test_a_locked_job_holds_up_no_other_and_that_is_told(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = hold(recorder, 10)
    with transaction.atomic():
        Job.objects.select_for_update().get(id=claimed[4].id)

        def record() -> None:
            recorder.broker.dialect.prepare_session()
            # First in the usual way, and then without the locked one.
            try_to_record(recorder)
            assert len(recorder.held) == 10
            try_to_record(recorder)
            recorder.run_salvage()

        with meanwhile(record) as answer:
            answer()
        assert Result.objects.count() == 9
        assert [job.id for job, _ in recorder.unrecorded()] == [claimed[4].id]
    said = recorder.salvage.trouble(after=0.0)
    assert said.startswith("1 finished jobs have not been recorded, the first for ")
    assert said.endswith("another session has its row locked")
    assert recorder.salvage.trouble(after=3_600.0) == ""
    finish_all(recorder)
    assert Result.objects.count() == 10


@pytest.mark.only_on("postgresql", "mysql")
def test_a_batch_with_which_the_connection_breaks_is_not_tried_for_ever(recorder: Recorder) -> None:
    hold(recorder, 8)
    connection = connections["default"]
    identity = "SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT CONNECTION_ID()"
    ending = "SELECT pg_terminate_backend({})" if connection.vendor == "postgresql" else "KILL {}"

    def end_the_session() -> None:
        with connection.cursor() as cursor:
            cursor.execute(identity)
            (session,) = cursor.fetchone()
        with meanwhile(lambda: _execute(ending.format(session))) as answer:
            answer()

    for tries in range(2):
        try_to_record(recorder, end_the_session)
        connection.close()
        assert (len(recorder.held), len(recorder.salvage)) == ((8, 0) if tries == 0 else (0, 8))
    finish_all(recorder)
    assert Result.objects.count() == 8


def _execute(sql: str) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute(sql)


def test_a_refused_outcome_is_rarely_tried_again(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN", 60.0)
    (job,) = hold(recorder, 1)
    with connections["default"].cursor() as cursor:
        cursor.execute("ALTER TABLE django_tasks_q_result RENAME TO elsewhere")
        cursor.execute("ALTER TABLE django_tasks_q_job RENAME COLUMN reason TO cause")
    try:
        try_to_record(recorder)
        recorder.run_salvage()
        assert time.monotonic() + 10 < recorder.salvage.due_at < math.inf
        assert [held.id for held, _ in recorder.unrecorded()] == [job.id]
    finally:
        with connections["default"].cursor() as cursor:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_tasks_q_result")
            cursor.execute("ALTER TABLE django_tasks_q_job RENAME COLUMN cause TO reason")


def test_large_outcomes_make_a_recorder_full(recorder: Recorder) -> None:
    claimed = hold(recorder, 3)
    assert not recorder.is_full
    text = '"' + "x" * 1_000_000 + '"'
    for job, outcome in zip(claimed * 3, make_outcomes(claimed * 3, "SUCCESSFUL", return_value=text), strict=True):
        recorder.hold(job, outcome)
    assert recorder.is_full
    try_to_record(recorder)
    assert not recorder.is_full
