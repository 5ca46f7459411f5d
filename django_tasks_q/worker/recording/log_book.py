"""The log lines of running jobs, in the parent, until the database has them."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...brokers.values import ClaimedJob, LogLines
from ..wire.frames import LogNote
from ..wire.log_window import Line, LogWindow, dump_lines

__all__ = ["LogBook"]


@dataclass(slots=True)
class _RunLines:
    """Lines of one run.

    held: to be written when it ends. due: to be written next. is_complete: there will be no more.
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
    """Keeps the first and the last lines of each run, up to a number of bytes.

    The first lines are written as they come. The last ones are only known when the run ends, even if it is killed: so
    they are kept here.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._runs: dict[str, _RunLines] = {}
        # Bytes of the lines that have come since the last write.
        self.weight = 0

    def take(self, job: ClaimedJob, note: LogNote) -> None:
        run = self._runs.get(job.id)
        if run is None or run.ended:
            run = self._runs[job.id] = _RunLines(job.attempt, LogWindow(self._most))
        run.held = note.held
        if note.left_out:
            run.window.skip(note.left_out)
        for line in note.lines:
            self.weight += run.window.add(line)

    def end(self, job: ClaimedJob) -> None:
        """The run has ended: the rest of its lines is due."""
        if run := self._runs.get(job.id):
            run.ended = True

    def drop(self, job: ClaimedJob) -> None:
        self._runs.pop(job.id, None)

    def clear(self) -> None:
        self._runs.clear()
        self.weight = 0

    def due(self) -> list[LogLines]:
        """Return the lines to write; the same ones again, and newer ones, until they are settled."""
        return [*self._due()] if self._runs else []

    def _due(self) -> Iterator[LogLines]:
        for job_id, run in self._runs.items():
            if lines := run.look():
                yield LogLines(job_id, run.attempt, dump_lines(lines))

    def settle(self) -> None:
        """The lines that were due are written; a run may have ended since."""
        self.weight = 0
        self._runs = {job_id: run for job_id, run in self._runs.items() if not run.is_complete}
        for run in self._runs.values():
            run.due = []
