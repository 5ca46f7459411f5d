"""Which tasks a process knows."""

import sys
from typing import Any, cast

import pytest

from django_tasks_q import task
from django_tasks_q.monitoring.tasks import known_tasks

from ..tasks import add, noop


@task
def here() -> None:
    """Stand in a module that is no app's `tasks`."""


def test_tasks_of_installed_apps_and_of_whatever_has_been_imported() -> None:
    found = known_tasks()
    assert found["tests.tasks.add"] is add
    assert found[f"{__name__}.here"] is here
    assert "analyser.tasks.analyse_file" in found


def test_each_is_known_by_the_path_at_which_it_was_made() -> None:
    """As this module imports noop, too."""
    assert [path for path, known in known_tasks().items() if known is noop] == ["tests.tasks.noop"]


def test_modules_that_are_none_are_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    # So Python notes what must not be imported.
    monkeypatch.setitem(cast(Any, sys.modules), "tests.forbidden", None)
    assert "tests.tasks.add" in known_tasks()
