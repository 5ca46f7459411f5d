"""What tasks log is stored with their jobs, from real workers."""

import logging
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from django_tasks_q import TasksQResult
from django_tasks_q.control import jobs
from django_tasks_q.models import JobLog
from django_tasks_q.monitoring.job_logs import LoggedAttempt, find_lines
from django_tasks_q.worker.child import run_log as module
from django_tasks_q.worker.child.log_capture import LogCapture
from django_tasks_q.worker.child.outbox import Outbox
from django_tasks_q.worker.child.run_log import INTERVAL
from django_tasks_q.worker.child.run_scope import RunScope
from django_tasks_q.worker.wire.frames import LogNote
from django_tasks_q.worker.wire.jobs import JobRow
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.rows import row_of
from tests.waiting import wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import log_tasks as tasks
from .jobs import make_job


def attempts_of(result: TasksQResult) -> list[LoggedAttempt]:
    """Return what each run has logged, the first run first."""
    return find_lines(row_of(result))[::-1]


def messages(result: TasksQResult) -> list[str]:
    """Return what a job with one run has logged."""
    (attempt,) = attempts_of(result)
    return [line.message for line in attempt.lines]


def ended(result: TasksQResult) -> TasksQResult:
    return result.wait(60)


def test_what_gets_through_the_loggers_levels_is_kept(worker: WorkerProcess) -> None:
    silent, result = usual.add.enqueue(1, 2), tasks.speak.enqueue()
    wait_for_results([silent, result])
    (attempt,) = attempts_of(result)
    said = [(line.level, line.logger, line.message) for line in attempt.lines]
    assert said == [
        ("INFO", "shop.orders", "order 42 <b>é👍"),
        ("WARNING", "shop.quiet", "two\nlines"),
    ]
    assert attempt.number == 1
    assert attempt.is_whole
    assert attempt.lines[0].at is not None
    assert result.started_at <= attempt.lines[0].at <= result.finished_at
    # What the worker says of jobs is not theirs. A job that says nothing has no row, and one that takes long several.
    assert {str(job_id) for job_id in JobLog.objects.values_list("job_id", flat=True)} == {result.id}
    assert find_lines(row_of(silent)) == []


@pytest.mark.parametrize(
    ("level", "expected"),
    [("DEBUG", ["not this", "order 42 <b>é👍", "two\nlines"]), ("WARNING", ["two\nlines"]), (None, [])],
)
def test_the_level_is_an_option(start_worker: StartWorker, level: str | None, expected: list[str]) -> None:
    worker = start_worker("--concurrency", "1", options={"capture_logs": level})
    result = ended(tasks.speak.enqueue())
    assert [line.message for attempt in attempts_of(result) for line in attempt.lines] == expected
    # Where nobody else hears it, Python writes a warning to stderr, as if nothing had been captured.
    assert worker.output.count("two\nlines") == 1


def test_each_run_has_its_own(worker: WorkerProcess) -> None:
    result = ended(tasks.fail.enqueue())
    runs = attempts_of(result)
    assert [attempt.number for attempt in runs] == [1, 2]
    for attempt in runs:
        (line,) = attempt.lines
        first, *traceback = line.message.splitlines()
        assert (line.level, first, traceback[-1]) == ("ERROR", "It went wrong.", "KeyError: 'inner'")


def test_a_requeue_keeps_what_was_logged(worker: WorkerProcess) -> None:
    result = ended(tasks.speak.enqueue())
    jobs.retry([result.id])
    wait_for(lambda: row_of(result).attempt == 2 and ended(result), "the second run")
    assert [attempt.number for attempt in attempts_of(result)] == [1, 2]


def test_an_atomic_task_writes_its_lines_itself_or_leaves_them_to_the_parent(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    result = ended(tasks.be_atomic.enqueue(str(tmp_path / "once")))
    assert result.status == "SUCCESSFUL"
    assert [[line.message for line in run.lines] for run in attempts_of(result)] == [["in a transaction"]] * 2


def test_lines_are_seen_while_the_task_runs(worker: WorkerProcess, tmp_path: Path) -> None:
    path = tmp_path / "go"
    result = tasks.wait.enqueue(str(path))
    wait_for(lambda: attempts_of(result), "the first line")
    assert messages(result) == ["begun"]
    path.touch()
    ended(result)
    assert messages(result) == ["begun", "done"]


@pytest.mark.parametrize("how", ["exit", "SIGKILL", "SIGSEGV"])
def test_what_was_sent_before_the_process_was_killed_is_kept(
    start_worker: StartWorker, tmp_path: Path, how: str
) -> None:
    start_worker("--concurrency", "1", options={"max_losses": 1, "max_logs": 4_000})
    result = ended(tasks.be_killed.enqueue(how, str(tmp_path / "dying")))
    assert result.status == "FAILED"
    said = messages(result)
    assert said[0].startswith("line 0 ")
    assert any("lines left out" in line for line in said)
    # The last are kept by the parent, although they are written only at the end.
    assert said[-1] == "the last that was sent"
    assert said[-2].startswith("line 99 ")


def test_what_an_atomic_task_has_sent_before_it_was_killed_is_kept(start_worker: StartWorker, tmp_path: Path) -> None:
    start_worker("--concurrency", "1", options={"max_losses": 1})
    result = tasks.wait_in_transaction.using(timeout=6).enqueue(str(tmp_path / "never"))
    ended(result)
    assert messages(result) == ["begun"]


def test_threads_and_coroutines_log_for_their_job(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", options={"max_logs": 1_048_576})
    with_threads, with_coroutines = tasks.use_threads.enqueue(), tasks.be_async.enqueue()
    wait_for_results([with_threads, with_coroutines])
    assert sorted(messages(with_threads)) == sorted(
        f"thread {number}: {count}" for number in range(4) for count in range(200)
    )
    said = messages(with_coroutines)
    assert said[-1] == "from a thread"
    assert sorted(said[:-1]) == [f"coroutine {number}: {count}" for number in (1, 2) for count in range(3)]


def test_a_thread_that_is_left_behind_does_not_log_for_the_next_job(start_worker: StartWorker, tmp_path: Path) -> None:
    start_worker("--concurrency", "1")
    path = str(tmp_path / "next")
    before = ended(tasks.leave_a_thread.enqueue(path))
    following = ended(tasks.be_next.enqueue(path))
    assert (messages(before), messages(following)) == (["left one"], ["the next"])


def test_a_fork_does_not_speak_for_its_parent(worker: WorkerProcess) -> None:
    assert messages(ended(tasks.fork.enqueue())) == ["in the task"]


def test_hostile_lines_are_kept_as_text_that_can_be_stored(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", options={"max_logs": 200_000})
    result = ended(tasks.be_hostile.enqueue())
    assert result.status == "SUCCESSFUL", result.errors
    said = messages(result)
    assert said[:2] == ["<script>alert(1)</script>\x1b[2J", "nought \ufffd, surrogate ?"]
    long, wide = said[2:4]
    assert long.startswith("aaa")
    assert long.endswith("az")
    assert "… 9,991,809 characters left out …" in long
    assert len(wide.encode()) < 8_300
    assert set(wide.partition("…")[0]) == {"👍"}
    cannot = [line.partition("cannot be shown: ")[2] for line in said[4:7]]
    assert cannot == ["ValueError)", "RecursionError)", "TypeError)"]
    # What it logs itself in the course of this is not heard, and so it ends.
    assert said[7:9] == ["talkative", "logged in __del__"]
    assert said[9:] == ["a long name", "a long level", "odd times", "None", "and goes on"]
    assert wait_for_results([usual.add.enqueue(1, 2)]) == [3]


def test_of_many_lines_the_first_and_the_last_are_kept(worker: WorkerProcess) -> None:
    result = ended(tasks.log_much.enqueue(100_000))
    said = messages(result)
    gap = next(number for number, line in enumerate(said) if "left out" in line)
    assert said[:gap] == [f"line {number}" for number in range(gap)]
    missing = int(said[gap].split()[1].replace(",", ""))
    assert said[gap + 1 :] == [f"line {number}" for number in range(gap + missing, 100_000)]
    size = sum(len(line) + 55 for line in said)
    assert 60_000 < size < 66_000


def test_a_task_that_reconfigures_logging_is_not_captured_after_that_but_the_next_is(
    start_worker: StartWorker,
) -> None:
    start_worker("--concurrency", "1")
    deaf, result = tasks.set_up_logging.enqueue(), tasks.speak.enqueue()
    wait_for_results([deaf, result])
    assert attempts_of(deaf) == []
    assert messages(result)[0] == "order 42 <b>é👍"


def test_the_soft_limit_interrupts_a_task_that_only_logs(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "2")
    results = [tasks.log_until_time_is_up.enqueue() for _ in range(6)]
    assert wait_for_results(results) == ["in time"] * 6
    for result in results:
        assert messages(result)[-1] == "time is up"


def test_so_does_its_cancellation(worker: WorkerProcess, tmp_path: Path) -> None:
    path = tmp_path / "begun"
    result = tasks.log_until_cancelled.enqueue(str(path))
    wait_for(path.exists, "the task")
    result.cancel()
    ended(result)
    assert row_of(result).status == "CANCELLED"
    assert messages(result)[-1] == "cancelled"
    assert wait_for_results([usual.add.enqueue(1, 2)]) == [3]


def test_a_signal_handler_may_log_while_lines_are_sent(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "1", options={"max_logs": 1_048_576})
    result = ended(tasks.log_in_a_signal_handler.enqueue())
    assert result.return_value > 100
    said = {line for line in messages(result) if "left out" not in line}
    assert said == {"z" * 1_000, "in the handler"}
    assert wait_for_results([usual.add.enqueue(1, 2)]) == [3]


class Kept(Outbox):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[LogNote] = []

    def logs(self, note: LogNote) -> None:
        self.notes.append(note)


class Broken(Outbox):
    def logs(self, note: LogNote) -> None:
        raise BrokenPipeError


def begin(capture: LogCapture, seq: int, outbox: Outbox) -> RunScope:
    """Begin a job as a child does."""
    scope = RunScope(seq, JobRow.of(make_job(), "default", time.time(), "worker-1", 0.0), outbox)
    capture.running = scope
    return scope


def record(**values: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "shop", "levelno": 40, "levelname": "ERROR", "msg": "hello"} | values)


def test_notes_are_few_and_what_comes_after_the_end_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    now, count = 1_000.0, 2_200
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    capture, kept = LogCapture("INFO", 10_000), Kept()
    capture.handle(record())
    scope = begin(capture, 5, kept)
    for _ in range(count):
        capture.handle(record())
        now += INTERVAL / 1_000
    capture.running = None
    scope.end()
    capture.handle(record())
    assert {note.seq for note in kept.notes} == {5}
    # Each time what there is room for, in two halves.
    assert len(kept.notes) <= 2 * 4
    sent = sum(len(note.lines) + note.left_out for note in kept.notes)
    assert sent == count
    kept.notes.clear()
    begin(capture, 6, kept).end()
    assert kept.notes == []


@pytest.mark.parametrize("has_logged", [True, False])
def test_a_thread_that_is_in_the_middle_of_a_line_at_the_end_sends_nothing(*, has_logged: bool) -> None:
    capture, kept = LogCapture("INFO", 10_000), Kept()
    scope = begin(capture, 5, kept)
    if has_logged:
        capture.handle(record())
    scope.end()
    kept.notes.clear()
    capture.handle(record())
    assert kept.notes == []


def test_what_cannot_be_sent_does_not_end_the_task() -> None:
    capture, kept = LogCapture("INFO", 10_000), Kept()
    scope = begin(capture, 5, Broken())
    capture.handle(record(name=["odd"]))
    capture.handle(record())
    scope.end()
    begin(capture, 6, kept)
    capture.handle(record(msg="again"))
    assert [line[3] for note in kept.notes for line in note.lines] == ["again"]
