"""What a task says of how far it is, in real workers."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_tasks_q import Context
from django_tasks_q.models import Job
from django_tasks_q.results import Progress
from django_tasks_q.worker.child import progress as module
from django_tasks_q.worker.child.outbox import Outbox
from django_tasks_q.worker.child.progress import INTERVAL, ProgressReporter
from django_tasks_q.worker.wire.frames import ProgressNote
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.rows import row_of
from tests.waiting import wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import progress_tasks as tasks


def test_progress_is_seen_while_the_task_runs_and_afterwards(worker: WorkerProcess, tmp_path: Path) -> None:
    path = tmp_path / "go"
    result = tasks.work.enqueue(str(path))
    assert result.progress is None

    def seen() -> Progress | None:
        result.refresh()
        return result.progress

    # Not the latest, which is held back for half a second.
    first = wait_for(seen, "the first progress")
    assert (first.done, first.total, first.message) == (0, 1_000, "begun <b>é")
    path.touch()
    result.wait(20)
    assert (result.progress.done, result.progress.message) == (1_000, "")
    assert result.finished_at >= result.progress.at > first.at
    assert wait_for_results([usual.add.enqueue(1, 2)]) == [3]


def test_the_last_is_kept_however_the_task_ends(worker: WorkerProcess) -> None:
    results = [task.enqueue() for task in (tasks.fail, tasks.be_atomic, tasks.be_async, tasks.use_threads)]
    for result in results:
        result.wait(20)
    assert [result.status for result in results] == ["FAILED", "SUCCESSFUL", "SUCCESSFUL", "SUCCESSFUL"]
    *others, with_threads = [result.progress.done for result in results]
    assert others == [7, 7, 7]
    # The thread that lives on may have had the last word.
    assert with_threads in {6, 7}


def test_a_large_message_does_not_block_the_others(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1")
    results = [tasks.say_much.enqueue("👍" * 100_000), tasks.say_much.enqueue("é", 2)]
    wait_for_results(results)
    for result in results:
        result.refresh()
    assert [len(result.progress.message) for result in results] == [500, 3]


class Kept(Outbox):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[ProgressNote] = []

    def progress(self, note: ProgressNote) -> None:
        self.notes.append(note)


def test_notes_are_few_and_the_last_is_among_them(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    kept = Kept()
    reporter = ProgressReporter(5, 0.0, kept)
    for count in range(24):
        reporter.report(count, None, "")
        now += INTERVAL / 8
    reporter.end()
    assert [json.loads(note.text)["done"] for note in kept.notes] == [0, 8, 16, 23]
    # What comes after the end is nobody's.
    reporter.report(1, 2, "")
    reporter.end()
    assert len(kept.notes) == 4


@pytest.mark.parametrize(
    ("done", "total", "error"),
    [("1", None, TypeError), (True, None, TypeError), (None, 1, TypeError), (1, "2", TypeError),
     (float("nan"), None, ValueError), (1, float("inf"), ValueError), (2**63, None, ValueError)],
)  # fmt: skip
def test_what_is_no_number_is_refused(done: object, total: object, error: type[Exception]) -> None:
    context = Context(task_result=usual.noop)
    with pytest.raises(error, match=r"^(done|total)"):
        context.progress(done, total)
    context.progress(1, 2.5, "without a worker it goes nowhere")


@pytest.mark.django_db
@pytest.mark.parametrize("damaged", [3, [1], {"done": 1}, {"done": "x", "total": 1, "message": "", "at": "never"}])
def test_what_is_damaged_is_none(damaged: object) -> None:
    result = usual.noop.enqueue()
    Job.objects.update(progress=damaged)
    result.refresh()
    assert result.progress is None
    assert row_of(result).progress == damaged
