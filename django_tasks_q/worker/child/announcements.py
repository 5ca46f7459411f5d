"""The framework's signals about a run: task_started and task_finished."""

import json
from typing import Any

from ...compat import Audience, task_finished, task_started
from ...lifecycle import ResultStatus
from ...moments import shown
from ...payloads import NOTHING
from ...results import task_error
from ..wire.frames import Run
from .attempts import Attempt

__all__ = ["STARTED", "announce_end", "announce_start"]

STARTED, FINISHED = Audience(task_started), Audience(task_finished)


def announce_start(sender: type, attempt: Attempt) -> None:
    """Send task_started, if anybody hears it. sender: the backend's class."""
    if STARTED.is_heard():
        task_started.send_robust(sender=sender, task_result=attempt.result)


def announce_end(sender: type, attempt: Attempt, status: str, run: Run) -> None:
    """Send task_finished, if anybody hears it; the result says from now on how the run has ended."""
    if not FINISHED.is_heard(failed=status == ResultStatus.FAILED):
        return
    result = attempt.result
    finished_at = shown(run.finished_at + attempt.row.clock)
    changes: dict[str, Any] = {"status": type(result.status)[status], "finished_at": finished_at}
    if run.return_value is not None and run.return_value != NOTHING:
        changes["_return_value"] = json.loads(run.return_value)
    if run.error is not None:
        changes["errors"] = [*result.errors, task_error(json.loads(run.error))]
    for name, value in changes.items():
        object.__setattr__(result, name, value)
    task_finished.send_robust(sender=sender, task_result=result)
