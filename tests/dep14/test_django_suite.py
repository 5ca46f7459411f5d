"""Django's own tests of the Tasks framework and its settings, with this backend in the places of Django's.

The source distribution of the installed Django has them. The backport's has none: being the same framework under
another name, it is tested with those of the first Django that had it.
"""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import django
import pytest
from django.conf import settings

from django_tasks_q.compat import FRAMEWORK

from .. import servers
from ..needs import require
from .sources import fetch_suite, point_at_stand_ins

ROOT = Path(__file__).parent.parent.parent
IS_BACKPORT = FRAMEWORK == "django_tasks"
VERSION = "6.0.10" if IS_BACKPORT else django.__version__
# Where the tests look for their tasks.
PACKAGE = "tasks"
SECONDS = 600
# So many there are at least: a run that found none must not pass.
FEWEST = 70

IMMEDIATE = "test_immediate_backend.ImmediateBackendTestCase"
IN_TRANSACTION = "test_immediate_backend.ImmediateBackendTransactionTestCase"
DUMMY = "test_dummy_backend.DummyBackendTestCase"

# What is not about the contract of a backend, and fails: each with what it is about.
EXCEPTIONS = {
    f"{IMMEDIATE}.test_cannot_get_result": "The built-in backend keeps no results; this one does.",
    f"{IMMEDIATE}.test_cannot_refresh_result": "The same.",
    f"{IMMEDIATE}.test_cannot_pass_run_after": "The built-in backend cannot defer; this one can.",
    f"{IMMEDIATE}.test_throws_keyboard_interrupt": (
        "The built-in backend runs the task in the caller's process, which Ctrl-C is to end. A worker's child hears "
        "no Ctrl-C, so an interrupt is the task's own error, and is recorded as one."
    ),
    f"{IN_TRANSACTION}.test_doesnt_wait_until_transaction_commit_by_default": (
        "Expects the task to have run within the caller's transaction; a worker cannot see the job before its commit. "
        "The test of the same name for the dummy backend, that enqueue() stores at once, is not excepted."
    ),
    f"{DUMMY}.test_refresh_result": "Changes the built-in backend's stored object in memory; here it is a row.",
    f"{DUMMY}.test_refresh_result_async": "The same.",
    "test_tasks.TaskTestCase.test_refresh_result": (
        "Calls refresh(), which asks the database, in a coroutine, where Django allows that only to arefresh()."
    ),
}
if IS_BACKPORT:
    EXCEPTIONS |= {
        f"{DUMMY}.test_validate_disallowed_async_task": "The backport's message has another capital letter.",
        "test_custom_backend.CustomBackendTestCase.test_enqueue_async_task_on_non_async_backend": "The same.",
    }
if sys.version_info < (3, 12):
    EXCEPTIONS |= {
        "test_custom_backend.CustomBackendTestCase.test_no_enqueue": (
            "Expects the words of a newer Python for an abstract class."
        ),
    }

pytestmark = [pytest.mark.timeout(SECONDS + 300), pytest.mark.project]
Outcomes = dict[str, str]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """How each of the tests ended: "passed", or why not."""
    require(servers.DATABASES[settings.DATABASE])
    # Not pytest's own folder, of which each environment of tox has another.
    suite = require(partial(fetch_suite, VERSION, ROOT / ".pytest_cache" / "django-tests"))
    folder = tmp_path_factory.mktemp("dep14")
    point_at_stand_ins(suite, folder / PACKAGE)
    return _run(folder)


def _run(folder: Path) -> Outcomes:
    report = folder / "report.json"
    name = f"{settings.DATABASE_NAME}_dep14"
    done = subprocess.run(
        [sys.executable, "-m", "tests.dep14.runner", str(folder), PACKAGE, str(report)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.dep14.settings", "TEST_DATABASE_NAME": name},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert report.exists(), f"The run of Django's tests broke off with exit code {done.returncode}:\n{done.stderr}"
    found: Outcomes = json.loads(report.read_text())
    return found


def test_django_own_tests_pass(outcomes: Outcomes) -> None:
    failed = {name: how for name, how in outcomes.items() if how != "passed" and name not in EXCEPTIONS}
    assert not failed, "\n\n".join(f"{name}\n{how}" for name, how in failed.items())
    assert len(outcomes) >= FEWEST, sorted(outcomes)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_an_exception_is_still_needed(outcomes: Outcomes, name: str) -> None:
    assert name in outcomes, "Django has no such test any more: take it off the list."
    assert outcomes[name] != "passed", "It passes: take it off the list."
