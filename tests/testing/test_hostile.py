"""Tasks and tests that do what they should not."""

import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.db import connections, transaction
from django.db.transaction import TransactionManagementError

from django_tasks_q.models import Job, Result
from django_tasks_q.testing import run_jobs

from .. import tasks as shared
from ..models import Effect
from . import tasks
from .plugins import plugin_arguments

ROOT = Path(__file__).parent.parent.parent
IMMEDIATE = {
    "default": {"BACKEND": "django_tasks_q.testing.ImmediateBackend", "QUEUES": [], "OPTIONS": {"max_runs": 5}}
}


@pytest.mark.parametrize("name", ["leave_open", "leave_broken"])
@pytest.mark.django_db
def test_a_transaction_that_is_left_open_is_rolled_back(name: str, caplog: pytest.LogCaptureFixture) -> None:
    Effect.objects.create(label="the test's")
    getattr(tasks, name).enqueue()
    shared.add.enqueue(1, 2)
    assert [result.is_finished for result in run_jobs()] == [True, True]
    assert 'left a transaction open on the database "default"' in caplog.text
    assert Effect.objects.get().label == "the test's"


@pytest.mark.django_db(transaction=True)
def test_a_task_that_closes_the_connection_is_told_of_the_remedy() -> None:
    tasks.close_connections.enqueue()
    closed = pytest.raises(TransactionManagementError, match="has closed the connection .default.*TransactionTestCase")
    with closed, transaction.atomic():
        run_jobs()
    assert run_jobs()[0].is_finished


@pytest.mark.django_db
def test_a_job_that_deletes_itself_leaves_nothing() -> None:
    tasks.delete_itself.enqueue()
    assert run_jobs() == []
    assert not Result.objects.exists()


@pytest.mark.django_db
def test_rows_that_are_read_in_chunks() -> None:
    Effect.objects.bulk_create([Effect(label=label) for label in "abc"])
    tasks.read_in_chunks.enqueue()
    assert run_jobs(raise_errors=True)[0].return_value == ["a", "b", "c"]


@pytest.mark.django_db
def test_many_that_are_enqueued_by_a_task() -> None:
    tasks.enqueue_several.enqueue()
    assert len(run_jobs(raise_errors=True)) == 4


@pytest.mark.django_db
def test_an_unknown_task_and_a_damaged_row(settings: Any) -> None:
    unknown, damaged = shared.add.enqueue(1, 2), shared.add.enqueue(1, 2)
    Job.objects.filter(pk=unknown.id).update(task_path="tests.tasks.nowhere")
    Job.objects.filter(pk=damaged.id).update(kwargs=[])
    with pytest.raises(Exception, match=r"tests.tasks.nowhere|kwargs"):
        run_jobs()
    assert (Job.objects.get().reason[:16], Result.objects.get().status) == ("There is no task", "FAILED")


@pytest.mark.django_db
def test_a_task_that_enqueues_itself_at_once_ends_too(settings: Any) -> None:
    settings.TASKS = IMMEDIATE
    with pytest.raises(AssertionError, match="After 5 runs there are still jobs"):
        tasks.again.enqueue()
    assert shared.add.enqueue(1, 2).attempts == 1


@pytest.mark.django_db
def test_the_timer_of_the_test_runner_goes_on() -> None:
    before = signal.setitimer(signal.ITIMER_REAL, 600)
    try:
        shared.clean_up.enqueue(0)
        run_jobs()
        assert 500 < signal.getitimer(signal.ITIMER_REAL)[0] <= 600
    finally:
        signal.setitimer(signal.ITIMER_REAL, *before)


@pytest.mark.django_db(transaction=True)
def test_in_another_thread_a_soft_limit_is_left_out() -> None:
    shared.clean_up.enqueue(0)
    found: list[Any] = []

    def run() -> None:
        try:
            found.extend(run_jobs())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [result.return_value for result in found] == ["slept"]


@pytest.mark.django_db
def test_logging_that_a_task_sets_up_is_its_own_affair() -> None:
    before = list(logging.root.handlers)
    tasks.set_up_logging.enqueue()
    try:
        assert run_jobs()[0].is_finished
    finally:
        logging.root.handlers[:] = before


@pytest.mark.django_db(transaction=True)
def test_inside_a_transaction_that_is_undone() -> None:
    with transaction.atomic():
        shared.add.enqueue(1, 2)
        assert run_jobs()[0].return_value == 3
        transaction.set_rollback(True)
    assert not Result.objects.exists()


@pytest.mark.django_db
def test_what_a_mock_asserts_is_an_error_of_the_task() -> None:
    tasks.call_service.using(max_attempts=1).enqueue(1)
    with mock.patch.object(tasks, "service", side_effect=AssertionError("wrong number")):
        assert "wrong number" in run_jobs()[0].errors[0].traceback


@pytest.mark.django_db
def test_what_pytest_fails_fails() -> None:
    tasks.call_service.enqueue(1)
    with (
        mock.patch.object(tasks, "service", side_effect=lambda number: pytest.fail("inside")),
        pytest.raises(pytest.fail.Exception, match="inside"),
    ):
        run_jobs()


@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("name", ["ImmediateBackend", "RecordingBackend"])
def test_the_settings_may_name_a_backend_of_the_kit(name: str) -> None:
    """Tasks are defined while the apps are loaded, before there are models."""
    code = (
        "import django\nfrom django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['tests.testing.early', 'django_tasks_q'],"
        "DATABASES={'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}},"
        f"TASKS={{'default': {{'BACKEND': 'django_tasks_q.testing.{name}', 'OPTIONS': {{'max_attempts': 2}}}}}})\n"
        "django.setup()\nfrom django.core.management import call_command\ncall_command('check')\n"
        "from tests.testing.early.tasks import early\nprint(type(early.get_backend()).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == (name, 0), done.stderr


@pytest.mark.only_on("sqlite")
def test_the_plugin_needs_no_django_project(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    plugins = ["-p", "no:django", *plugin_arguments()]
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", *plugins, "-c", "/dev/null", "--rootdir", ".", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
