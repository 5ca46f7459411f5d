"""What a task leaves behind does the next job on the same child no harm."""

import re
from typing import Any

import pytest
from django.conf import settings

from django_tasks_q import Task
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import row_of
from tests.workers import WorkerProcess

from . import tasks

# The task, its arguments, and whether it ends well.
MISDEEDS: dict[str, tuple[Task, tuple[Any, ...], str]] = {
    "transaction left open": (tasks.leave_transaction_open, (), "SUCCESSFUL"),
    "autocommit left off": (tasks.leave_autocommit_off, (), "SUCCESSFUL"),
    "transaction begun by hand": (tasks.begin_by_hand, (), "SUCCESSFUL"),
    "broken transaction": (tasks.break_transaction, (), "FAILED"),
    "connection closed": (tasks.close_connection, (), "SUCCESSFUL"),
    "socket closed": (tasks.close_socket, (), "SUCCESSFUL"),
    "language and time zone": (tasks.change_surroundings, (), "SUCCESSFUL"),
    "signal handlers": (tasks.change_handlers, (), "SUCCESSFUL"),
    "alarm": (tasks.set_alarm, (), "SUCCESSFUL"),
    "SystemExit": (tasks.raise_error, ("SystemExit",), "FAILED"),
    "KeyboardInterrupt": (tasks.raise_error, ("KeyboardInterrupt",), "FAILED"),
    "BaseException": (tasks.raise_error, ("OddError",), "FAILED"),
    "megabytes of output": (tasks.print_much, (5,), "SUCCESSFUL"),
}


@pytest.fixture
def one_child(start_worker: StartWorker) -> WorkerProcess:
    return start_worker("--concurrency", "1")


def test_the_next_job_on_the_same_child_is_unharmed(one_child: WorkerProcess) -> None:
    usual_surroundings = tasks.describe_process.enqueue().wait(30).return_value
    assert usual_surroundings["language"] == settings.LANGUAGE_CODE
    assert usual_surroundings["timezone"] == settings.TIME_ZONE
    assert (usual_surroundings["autocommit"], usual_surroundings["program"]) == (True, 7)

    ends, harm = {}, {}
    for name, (task, args, _) in MISDEEDS.items():
        ends[name] = task.enqueue(*args).wait(30).status
        # Long enough for an alarm that was set.
        usual.nap.using(max_attempts=1).enqueue(0.3 if name == "alarm" else 0).wait(30)
        found = tasks.describe_process.enqueue().wait(30)
        if found.status != "SUCCESSFUL" or found.return_value != usual_surroundings:
            harm[name] = found.errors or found.return_value
    assert harm == {}
    assert ends == {name: status for name, (_, _, status) in MISDEEDS.items()}
    labels = list(Effect.objects.values_list("label", flat=True))
    assert sorted(set(labels)) == ["committed", "described"]
    assert labels.count("described") == len(MISDEEDS) + 1
    assert len(re.findall("left a transaction open", one_child.output)) >= 2


def test_errors_that_cannot_be_shown_are_recorded(one_child: WorkerProcess) -> None:
    odd = tasks.raise_error.enqueue("OddError").wait(30)
    (error,) = row_of(odd).errors
    assert error["exception"] == "tests.worker.tasks.OddError"
    assert "cannot be shown" in error["traceback"] or "<exception str() failed>" in error["traceback"]
    leave = tasks.raise_error.enqueue("SystemExit").wait(30)
    assert [error.exception_class_path for error in leave.errors] == ["builtins.SystemExit"]


def test_the_job_after_a_dead_child_runs_on_a_new_one(one_child: WorkerProcess) -> None:
    dying = usual.exit_process.enqueue(0)
    after = usual.add.enqueue(1, 2)
    assert after.wait(30).return_value == 3
    assert dying.wait(30).status == "FAILED"
    assert "exited with code 0" in row_of(dying).reason
    assert row_of(after).losses == 0
