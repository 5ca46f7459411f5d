"""The database's clock, as a worker knows it."""

import time
from typing import Any

import pytest
from django.db import connection

from django_tasks_q.services.registry import Registry


def test_clock_of_the_host_may_be_set(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    before, host_time = registry.clock.ahead, time.time
    monkeypatch.setattr(time, "time", lambda: host_time() + 3_600)
    assert registry.clock.ahead == pytest.approx(before - 3_600, abs=5)


def test_a_slow_answer_does_not_set_the_clock_wrong(broker: Any, registry: Registry) -> None:
    delays = [0.5]

    def dawdle(execute: Any, *args: Any) -> Any:
        answer = execute(*args)
        if delays:
            time.sleep(delays.pop())
        return answer

    before = registry.clock.ahead
    with connection.execute_wrapper(dawdle):
        registry.clock.compare()
    assert abs(registry.clock.ahead - before) < 0.2
