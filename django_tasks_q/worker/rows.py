"""A job, as the process sees it that runs it."""

import json
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.utils.dateparse import parse_datetime

from ..exceptions import CorruptJob
from ..lifecycle import JobStatus
from ..results import refuse_corrupt
from .pools.wire import JobFrame

__all__ = ["JobRow", "shown"]

NO_ARGS, NO_KWARGS = "[]", "{}"
# Of options, metadata and errors: what nearly every job has.
PLAIN = ("{}", "{}", "[]")


class JobRow:
    """The columns of a RUNNING job, for whatever takes a row of the table.

    Most runs need to know little of their job: the rest is read when it is asked for.
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
        """Read the JSON columns. Raise CorruptJob where they cannot be a call."""
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

    def __getattr__(self, name: str) -> Any:
        """Read what came along unread, when the first of it is asked for."""
        if "_frame" not in self.__dict__ or "clock" in self.__dict__:
            raise AttributeError(f"A row of a job has no {name!r}.")
        fields = json.loads(self._frame.fields)
        for moment in ("run_after", "enqueued_at", "started_at"):
            fields[moment] = parse_datetime(fields[moment]) if fields[moment] else None
        fields["last_attempted_at"] = shown(self._began_at + fields["clock"])
        if fields["attempt"] == 1:
            # As the history will have it.
            fields["started_at"] = fields["last_attempted_at"]
        self.__dict__.update(fields)
        return getattr(self, name)


def _load(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CorruptJob(f"The job's {name} must be JSON, but the row holds {text!r:.80}: {error}.") from error


def shown(timestamp: float) -> datetime:
    """Return a moment as tasks and receivers see it: aware, or naive where USE_TZ is off."""
    return datetime.fromtimestamp(timestamp, UTC if settings.USE_TZ else None)
