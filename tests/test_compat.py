"""The signals of the framework, and who hears them."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import django
import pytest
from django.dispatch import Signal

from django_tasks_q.compat import FRAMEWORK, Audience


@pytest.fixture
def level() -> Iterator[Any]:
    """Sets the level of the framework's log; puts it back at the end."""
    log = logging.getLogger(FRAMEWORK)
    before = log.level
    yield log.setLevel
    log.setLevel(before)


@pytest.fixture(params=["log_task_started", "log_task_finished"])
def signal(request: pytest.FixtureRequest) -> Signal:
    """A signal that the framework's log hears, and nobody else."""
    signal = Signal()
    signal.connect(getattr(import_module(f"{FRAMEWORK}.signals"), request.param))
    return signal


def test_the_log_of_the_framework_hears_what_its_level_lets_through(signal: Signal, level: Any) -> None:
    audience = Audience(signal)
    level(logging.INFO)
    assert audience.is_heard()
    level(logging.WARNING)
    assert not audience.is_heard()
    assert audience.is_heard(failed=True)
    level(logging.CRITICAL)
    assert not audience.is_heard(failed=True)


def test_any_other_receiver_hears_everything_from_when_it_comes_until_it_goes(signal: Signal, level: Any) -> None:
    def receiver(**kwargs: Any) -> None:
        pass

    level(logging.CRITICAL)
    audience = Audience(signal)
    assert not audience.is_heard()
    signal.connect(receiver)
    assert audience.is_heard()
    # The signal keeps no strong references: a receiver that is garbage collected no longer listens.
    del receiver
    assert not Audience(signal).is_heard()


WITHOUT = "import sys; sys.modules['django_tasks'] = None; import django_tasks_q"


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="Django has tasks of its own.")
def test_a_missing_backport_is_named() -> None:
    ended = subprocess.run([sys.executable, "-c", WITHOUT], check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    said = ended.stderr.splitlines()[-1]
    assert said.startswith("django.core.exceptions.ImproperlyConfigured: Django 5.2")
    assert said.endswith("Install it: pip install django-tasks-q[backport]")
