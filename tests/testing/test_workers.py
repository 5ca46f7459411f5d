"""A real worker beside a test, with the test's database."""

import os
from contextlib import suppress
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_tasks_q.models import Worker
from django_tasks_q.testing import worker

from .. import tasks as shared
from ..waiting import LIMIT

REAL = pytest.mark.django_db(transaction=True)


@REAL
def test_it_runs_jobs_and_ends_with_the_block(settings: Any) -> None:
    # Of the test alone, and yet the worker has it.
    settings.TASKS = {**settings.TASKS, "default": {**settings.TASKS["default"], "OPTIONS": {"max_attempts": 2}}}
    with suppress(KeyError), worker("--queues", "default", concurrency=2) as running:
        other, late = shared.add.using(queue_name="mail").enqueue(1, 2), shared.overrun.enqueue(60)
        assert shared.boom.enqueue().wait(LIMIT).attempts == 2
        assert "longer than its timeout of 1 s" in late.wait(LIMIT).errors[0].traceback
        other.refresh()
        assert not other.is_finished
        assert Worker.objects.get().pid == running.pid
        assert "is ready" in running.output
        raise KeyError("a test that fails")
    assert Worker.objects.get().status == "OFFLINE"
    with pytest.raises(ProcessLookupError):
        os.kill(running.pid, 0)


@REAL
def test_what_keeps_it_from_starting_is_told() -> None:
    refused = pytest.raises(RuntimeError, match=r"ended with exit code [12]. It wrote:\n(?s:.*)no backend .nowhere")
    with refused, worker("--backend", "nowhere"):
        pytest.fail("it has not started")


@pytest.mark.django_db
def test_a_test_case_is_refused() -> None:
    refused = pytest.raises(
        ImproperlyConfigured, match=r"inside a transaction.*run_jobs\(\) of django_tasks_q.testing"
    )
    with refused, worker():
        pytest.fail("it has started")


def test_without_a_settings_module_it_is_refused(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE")
    with pytest.raises(ImproperlyConfigured, match="DJANGO_SETTINGS_MODULE names, but that is not set"), worker():
        pytest.fail("it has started")
