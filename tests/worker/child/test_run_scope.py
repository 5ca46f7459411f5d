"""Runs that are in one process at a time, as in a pool of threads or coroutines: each has a state of its own."""

import asyncio

import pytest

from django_tasks_q.exceptions import SoftCancel, SoftTimeout
from django_tasks_q.worker.child.outbox import Outbox
from django_tasks_q.worker.child.progress import ProgressReporter
from django_tasks_q.worker.child.run_scope import RunScope
from django_tasks_q.worker.wire.frames import LogNote, ProgressNote
from django_tasks_q.worker.wire.jobs import JobRow
from tests.waiting import LIMIT

from ..jobs import make_job


class Kept(Outbox):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[ProgressNote | LogNote] = []

    def progress(self, note: ProgressNote) -> None:
        self.notes.append(note)

    def logs(self, note: LogNote) -> None:
        self.notes.append(note)


def begin(seq: int, outbox: Outbox) -> RunScope:
    scope = RunScope(seq, JobRow.of(make_job(), "default", 1.0, "worker-1", 0.0), outbox)
    scope.progress = ProgressReporter(seq, 0.0, outbox)
    return scope


def test_one_is_cancelled_another_is_late_and_the_third_ends() -> None:
    scopes = [begin(seq, Outbox()) for seq in (1, 2, 3)]

    async def run_all() -> list[str | BaseException]:
        begun, ends = [asyncio.Event() for _ in scopes], asyncio.Event()

        async def work(seq: int) -> str:
            begun[seq - 1].set()
            await asyncio.wait_for(ends.wait(), LIMIT)
            return "done"

        limits = {1: None, 2: 0.01, 3: None}
        runs = [asyncio.ensure_future(scope.wait_for(work(scope.seq), limits[scope.seq])) for scope in scopes]
        for event in begun:
            await event.wait()
        scopes[0].cancel()
        await asyncio.wait(runs[:2])
        ends.set()
        return await asyncio.gather(*runs, return_exceptions=True)

    cancelled, late, third = asyncio.run(run_all())
    assert (type(cancelled), type(late), third) == (SoftCancel, SoftTimeout, "done")
    assert [scope.is_cancelled for scope in scopes] == [True, False, False]


def test_each_reports_and_logs_for_itself() -> None:
    kept = [Kept(), Kept()]
    first, second = begin(1, kept[0]), begin(2, kept[1])
    for scope in (first, second, first):
        scope.report_progress(scope.seq, None, "")
        scope.open_log(10_000).add((1.0, "INFO", "shop", f"line of {scope.seq}"))
    first.end()
    # Of what has ended nothing more is taken.
    first.report_progress(9, None, "")
    first.open_log(10_000).add((1.0, "INFO", "shop", "too late"))
    second.end()
    assert [{note.seq for note in each.notes} for each in kept] == [{1}, {2}]
    said = [[line[3] for note in each.notes if isinstance(note, LogNote) for line in note.lines] for each in kept]
    assert said == [["line of 1", "line of 1"], ["line of 2"]]


def test_what_is_cancelled_before_its_task_begins_does_not_begin() -> None:
    scope = begin(1, Outbox())
    scope.cancel()
    with pytest.raises(SoftCancel):
        scope.call(pytest.fail, ("It began.",), {})
