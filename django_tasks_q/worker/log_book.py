"""What running jobs have logged, in the parent, until the database has it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..brokers.values import ClaimedJob, LogLines
from .log_window import Line, LogWindow, dump_lines
from .pools.wire import LogNote

__all__ = ["LogBook"]


@dataclass(slots=True)
class _RunLines:
    """Lines of one run.

    held: they are to be written with its end. due: to be written next. is_complete: no more will be due.
    """

    attempt: int
    window: LogWindow
    held: bool = False
    ended: bool = False
    due: list[Line] = field(default_factory=list)
    is_complete: bool = False

    def look(self) -> list[Line]:
        if self.ended or not self.held:
            self.due += self.window.take_head()
        if self.ended:
            self.due += self.window.take_tail()
            self.is_complete = True
        return self.due


class LogBook:
    """Keeps the first and the last of what each run logs, so many bytes of it.

    The first lines are written as they come. Which are the last is known at the end, which a run that is killed has
    too: so they are kept here.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: dict[str, _RunLines] = {}

    def take(self, job: ClaimedJob, note: LogNote) -> None:
        run = self._runs.get(job.id)
        if run is None or run.ended:
            run = self._runs[job.id] = _RunLines(job.attempt, LogWindow(self._most))
        run.held = note.held
        if note.left_out:
            run.window.skip(note.left_out)
        for line in note.lines:
            run.window.add(line)

    def end(self, job: ClaimedJob) -> None:
        """No more will come: what is left of the run is due."""
        if run := self._runs.get(job.id):
            run.ended = True

    def drop(self, job: ClaimedJob) -> None:
        self._runs.pop(job.id, None)

    def clear(self) -> None:
        self._runs.clear()

    def due(self) -> list[LogLines]:
        """Return what is to be written; the same again, and what has come since, until it is settled."""
        return [*self._due()] if self._runs else []

    def _due(self) -> Iterator[LogLines]:
        for job_id, run in self._runs.items():
            if lines := run.look():
                yield LogLines(job_id, run.attempt, dump_lines(lines))

    def settle(self) -> None:
        """What was due is written; a run may have ended since."""
        self._runs = {job_id: run for job_id, run in self._runs.items() if not run.is_complete}
        for run in self._runs.values():
            run.due = []
