import logging
import multiprocessing
import time
from typing import Any

import pytest

from django_tasks_q.exceptions import SoftTimeout
from django_tasks_q.worker.child.soft_limits import soft_limit

LIMIT = 0.05


def test_logging_swallows_no_soft_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    current, asked = multiprocessing.current_process, []

    def slow() -> Any:
        # A record asks for the name of the process, and ignores whatever that raises.
        asked.append(time.monotonic())
        while time.monotonic() < asked[0] + 2 * LIMIT:
            pass
        return current()

    def log() -> None:
        made = logging.LogRecord("name", logging.INFO, "path", 1, "message", (), None)
        assert made.processName == current().name
        while time.monotonic() < asked[0] + 60:
            pass

    monkeypatch.setattr(multiprocessing, "current_process", slow)
    with soft_limit(LIMIT), pytest.raises(SoftTimeout):
        log()
    assert len(asked) == 1
