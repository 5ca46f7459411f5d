"""A job, as the process that runs it sees it."""

import json
from typing import Any

from django.utils.dateparse import parse_datetime

from ...exceptions import CorruptJob
from ...lifecycle import JobStatus
from ...moments import shown
from ...results import refuse_corrupt
from ...retries import FailedJob
from ..wire.frames import JobFrame

__all__ = ["JobRow", "shown"]

NO_ARGS, NO_KWARGS = "[]", "{}"
# The usual values of options, metadata and errors.
PLAIN = ("{}", "{}", "[]")


class JobRow:
    """The columns of a RUNNING job, for code that expects a row of the table.

    Most runs need few of them: the others are parsed when they are first used.
    """

    status = JobStatus.RUNNING
    finished_at = progress = None

    def __init__(self, frame: JobFrame, alias: str, began_at: float) -> None:
        self.id = frame.id
        self.task_path = frame.task_path
        self.backend = alias
        self.errors: list[Any] = []
        self._frame = frame
        self._began_at = began_at

    def read_payloads(self) -> None:
        """Parse the JSON columns. Raise CorruptJob if they are not a valid call."""
        frame = self._frame
        self.args = [] if frame.args == NO_ARGS else _load("args", frame.args)
        self.kwargs = {} if frame.kwargs == NO_KWARGS else _load("kwargs", frame.kwargs)
        if frame[5:8] == PLAIN:
            self.options: Any = {}
            self.metadata: Any = {}
        else:
            self.options = _load("options", frame.options)
            self.metadata = _load("metadata", frame.metadata)
            self.errors = _load("errors", frame.errors)
        if self.args or self.kwargs or frame[5:8] != PLAIN:
            refuse_corrupt(self)

    @property
    def stored_arguments(self) -> tuple[str, str]:
        """The args and kwargs as the table has them, whatever the task has done with what it was given."""
        return self._frame.args, self._frame.kwargs

    def as_failed(self) -> FailedJob:
        """Return the job for a retry policy, counting this run as failed."""
        return FailedJob(
            id=str(self.id),
            task_path=self.task_path,
            queue_name=self.queue_name,
            args=self.args,
            kwargs=self.kwargs,
            metadata=self.metadata,
            attempt=self.attempt,
            failures=self.failures + 1,
            enqueued_at=self.enqueued_at,
        )

    def __getattr__(self, name: str) -> Any:
        """Parse the remaining fields when the first of them is used."""
        if "_frame" not in self.__dict__ or "clock" in self.__dict__:
            raise AttributeError(f"A job's row has no {name!r}.")
        fields = json.loads(self._frame.fields)
        for moment in ("run_after", "enqueued_at", "started_at"):
            fields[moment] = parse_datetime(fields[moment]) if fields[moment] else None
        fields["last_attempted_at"] = shown(self._began_at + fields["clock"])
        if fields["attempt"] == 1:
            # As it will be in the history.
            fields["started_at"] = fields["last_attempted_at"]
        self.__dict__.update(fields)
        return getattr(self, name)


def _load(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CorruptJob(f"The job's {name} must be JSON, but the row holds {text!r:.80}: {error}.") from error
