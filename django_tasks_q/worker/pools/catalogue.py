"""What the fork server says of the project's tasks, for a supervisor that does not import them."""

import time
from collections.abc import Mapping
from typing import Any

from ...lifecycle import ScheduleOrigin
from ...schedules.declaring import Declaration
from ...schedules.definitions import Definition
from ...schedules.shapes import TaskShape

__all__ = ["Catalogue"]

# Seconds after which a task that was not there is looked for again, and an answer that never came.
ASK_AGAIN = 10.0


class Catalogue:
    """The schedules that the code declares, and what is known of each task."""

    def __init__(self) -> None:
        self._declared: tuple[list[Declaration], bool] | None = None
        self._known: dict[str, TaskShape | str] = {}
        self._asked: dict[str, float] = {}
        self._questions: list[str] = []

    def declared(self) -> tuple[list[Declaration], bool] | None:
        """Return the declared schedules and whether these are all; None until the tasks have been imported."""
        return self._declared

    def find(self, path: str) -> TaskShape | str | None:
        """Return what is known of a task, or why there is none; None where that is not known yet, but asked for."""
        known = self._known.get(path)
        if not isinstance(known, TaskShape) and time.monotonic() > self._asked.get(path, 0.0) + ASK_AGAIN:
            self._asked[path] = time.monotonic()
            self._questions.append(path)
        return known

    def questions(self) -> list[str]:
        """Return the tasks to ask for, each once."""
        questions, self._questions = self._questions, []
        return questions

    def hear(self, message: Mapping[str, Any]) -> None:
        """Take an answer of the fork server."""
        if "described" in message:
            for path, known in message["described"].items():
                self._known[path] = known if isinstance(known, str) else TaskShape(*known)
            return
        found = [
            Declaration(ScheduleOrigin(origin), Definition.load(values)) for origin, values in message["declared"]
        ]
        self._declared = found, message["complete"]
        # One that was started again may know what the one before did not, and did not hear what that was asked.
        self._asked.clear()
