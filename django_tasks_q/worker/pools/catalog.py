"""What the fork server reports about the project's tasks, for a supervisor that does not import them."""

import time
from collections.abc import Mapping
from typing import Any

from ...lifecycle import ScheduleOrigin
from ...schedules.declaring import Declaration
from ...schedules.definitions import Definition
from ...schedules.task_info import TaskInfo

__all__ = ["TaskCatalog"]

# Seconds after which a missing task, or an answer that never came, is requested again.
ASK_AGAIN = 10.0


class TaskCatalog:
    """The schedules that the code declares, and what is known about each task."""

    def __init__(self) -> None:
        self._declared: tuple[list[Declaration], bool] | None = None
        self._known: dict[str, TaskInfo | str] = {}
        self._asked: dict[str, float] = {}
        self._questions: list[str] = []

    def declared(self) -> tuple[list[Declaration], bool] | None:
        """Return the declared schedules and whether these are all; None until the tasks have been imported."""
        return self._declared

    def find(self, path: str) -> TaskInfo | str | None:
        """Return what is known about a task, or why there is none; None if the question is still open."""
        known = self._known.get(path)
        if not isinstance(known, TaskInfo) and time.monotonic() > self._asked.get(path, 0.0) + ASK_AGAIN:
            self._asked[path] = time.monotonic()
            self._questions.append(path)
        return known

    def questions(self) -> list[str]:
        """Return the tasks to ask about, each once."""
        questions, self._questions = self._questions, []
        return questions

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take an answer from the fork server."""
        if "described" in message:
            for path, known in message["described"].items():
                self._known[path] = known if isinstance(known, str) else TaskInfo(*known)
            return
        found = [
            Declaration(ScheduleOrigin(origin), Definition.load(values)) for origin, values in message["declared"]
        ]
        self._declared = found, message["complete"]
        # A restarted server may know what the previous one did not, and has not received its questions.
        self._asked.clear()
