"""The options of the command."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from django_tasks_q import enqueue_many
from django_tasks_q.models import Job, Result
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import insert_job
from tests.waiting import wait_for, wait_for_results

from . import tasks


def test_burst_ends_when_nothing_is_due(start_worker: StartWorker) -> None:
    enqueue_many((usual.leave_effect, (str(number),), {}) for number in range(50))
    later = usual.noop.using(run_after=timedelta(hours=1)).enqueue()
    due = usual.leave_effect.using(run_after=timedelta(milliseconds=1)).enqueue("due")
    usual.boom_thrice.using(backoff=0).enqueue()
    worker = start_worker("--concurrency", "2", "--burst", wait=False)
    assert worker.wait() == 0
    assert Effect.objects.count() == 51
    assert [str(job.id) for job in Job.objects.all()] == [later.id]
    assert Result.objects.filter(id=due.id).exists()
    assert Result.objects.get(task_path="tests.tasks.boom_thrice").attempt == 3


@pytest.fixture
def slow_claims(transactional_db: None) -> Iterator[None]:
    """So slow that the next ones begin behind them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END $$;"
            " CREATE TRIGGER dawdle BEFORE UPDATE ON django_tasks_q_job EXECUTE FUNCTION dawdle()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION dawdle() CASCADE")


@pytest.mark.only_on("postgresql")
@pytest.mark.usefixtures("slow_claims")
def test_burst_does_not_end_before_what_a_slow_claim_has_left_out(start_worker: StartWorker) -> None:
    usual.boom_thrice.using(backoff=0).enqueue()
    assert start_worker("--burst", wait=False).wait() == 0
    assert Result.objects.get().attempt == 3


def test_burst_waits_for_what_runs(start_worker: StartWorker) -> None:
    usual.nap.enqueue(2)
    assert start_worker("--concurrency", "2", "--burst", wait=False).wait() == 0
    assert Result.objects.count() == 1
    assert start_worker("--burst", wait=False).wait() == 0


def test_queues_and_excluded_queues(start_worker: StartWorker) -> None:
    for queue in ("a", "b", "c"):
        usual.leave_effect.using(queue_name=queue).enqueue(queue)
    assert start_worker("--burst", "--queues", "a,b", "--exclude-queues", "b", wait=False).wait() == 0
    assert [effect.label for effect in Effect.objects.all()] == ["a"]
    assert start_worker("--burst", "--exclude-queues", "c", wait=False).wait() == 0
    assert sorted(effect.label for effect in Effect.objects.all()) == ["a", "b"]
    assert [job.queue_name for job in Job.objects.all()] == ["c"]


def test_a_worker_is_known_by_its_name(start_worker: StartWorker) -> None:
    worker = start_worker("--name", "mail@web-1", "--queues", "mail", "--concurrency", "3")
    row = worker.row
    assert row.id.startswith("mail@web-1-")
    assert (row.queues, row.excluded_queues, row.concurrency) == (["mail"], [], 3)
    result = usual.noop.using(queue_name="mail").enqueue().wait(30)
    assert result.worker_ids == [row.id]
    assert worker.stop() == 0
    assert f"Worker {row.id} is ready" in worker.output
    assert f"Worker {row.id} has stopped" in worker.output


def test_a_child_is_replaced_after_its_tasks(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "2", "--max-tasks-per-child", "5")
    results = enqueue_many((usual.process_id, (), {}) for _ in range(100))
    counts = Counter(wait_for_results(results))
    assert set(counts.values()) <= set(range(1, 6))
    assert len(counts) >= 20
    assert not Result.objects.exclude(errors=[], attempt=1).exists()


def test_a_child_that_has_one_task_left_does_not_make_room_before_it_has_run(start_worker: StartWorker) -> None:
    """The number of jobs at a time stays what was asked for."""
    start_worker("--concurrency", "2", "--max-tasks-per-child", "1")
    results = enqueue_many((usual.leave_effect, (str(number), 0.5), {}) for number in range(8))
    wait_for_results(results)
    rows = Result.objects.order_by("started_at")
    spans = [(row.started_at, row.finished_at) for row in rows]
    at_a_time = [sum(start <= moment < end for start, end in spans) for moment, _ in spans]
    assert max(at_a_time) <= 2


def test_json_logs_can_be_parsed_line_by_line(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "2", "--log-format", "json", "-v", "3")
    good, bad = usual.add.enqueue(1, 2), usual.boom_thrice.enqueue("two\nlines \x1b[31m")
    lost = usual.exit_process.enqueue()
    for result in (good, bad, lost):
        result.wait(30)
    tasks.leave_transaction_open.enqueue().wait(30)
    assert worker.stop() == 0

    lines = [json.loads(line) for line in worker.output.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    about = {job: [line for line in lines if line.get("job") == job] for job in (good.id, bad.id, lost.id)}
    assert [(line["status"], line["attempt"], line["task"], line["queue"]) for line in about[good.id]] == [
        ("SUCCESSFUL", 1, "tests.tasks.add", "default")
    ]
    assert [line["status"] for line in about[bad.id]] == ["SCHEDULED", "SCHEDULED", "FAILED"]
    assert [line["status"] for line in about[lost.id]] == ["READY", "READY", "FAILED"]
    assert any("left a transaction open" in line["message"] for line in lines)
    [worker_id] = {line["worker"] for job in about for line in about[job]}
    assert worker_id in lines[-1]["message"]


def test_text_logs_have_a_line_for_each_event(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1")
    usual.boom.enqueue("two\nlines \x1b[31m").wait(30)
    assert worker.stop() == 0
    assert "\x1b" not in worker.output
    assert all(line.startswith("20") for line in worker.output.splitlines())


RELOADED = """
from django_tasks_q import task

@task
def version() -> int:
    return {version}
"""
SETTINGS = """
from tests.settings import *

INSTALLED_APPS = [*INSTALLED_APPS, "reloaded"]
"""


def test_reload_starts_again_when_a_file_has_changed(start_worker: StartWorker, tmp_path: Path) -> None:
    app = tmp_path / "reloaded"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "tasks.py").write_text(RELOADED.format(version=1))
    (tmp_path / "reloading_settings.py").write_text(SETTINGS)
    root = Path(__file__).parent.parent.parent
    worker = start_worker(
        "--concurrency", "1", "--reload", "--settings", "reloading_settings",
        environment={"PYTHONPATH": f"{root}:{tmp_path}"}, wait=False,
    )  # fmt: skip

    def version() -> int | None:
        job = insert_job("reloaded.tasks.version")
        row = wait_for(lambda: Result.objects.filter(id=job.id).first(), "the job to run")
        return row.return_value

    assert version() == 1
    # The size differs, because a file system may count in seconds.
    (app / "tasks.py").write_text(RELOADED.format(version=22))
    wait_for(lambda: version() == 22, "the new code to run", timeout=30)
    assert worker.stop() == 0
    assert "has changed" in worker.output
    assert worker.others() == []


def test_a_wrong_command_line_is_refused(start_worker: StartWorker) -> None:
    for arguments, told in {
        ("--concurrency", "0"): "whole number from 1 on",
        ("--queues", ","): "at least one queue name",
        ("--name", "a b"): "'a b' is not 1 to 80",
        ("--max-memory-per-child", "12X"): "is not a size",
        ("--backend", "nonsense"): 'no backend "nonsense"',
    }.items():
        worker = start_worker(*arguments, wait=False)
        assert worker.wait() in {1, 2}
        assert told in worker.output
