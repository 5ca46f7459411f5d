"""TASKS with entries that are not ours: of other packages, broken, or not installed."""

from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from django.urls import reverse

from django_tasks_q.backend import TasksQBackend, backend_aliases
from django_tasks_q.compat import FRAMEWORK
from django_tasks_q.exceptions import InvalidSchedule
from django_tasks_q.models import Job
from django_tasks_q.routers import TasksQRouter
from django_tasks_q.schedules.definitions import Definition
from django_tasks_q.schedules.validation import validate

from .tasks import noop

BACKEND = "django_tasks_q.backend.TasksQBackend"
OTHERS = {
    "missing": {"BACKEND": "does.not.exist", "OPTIONS": {"database": "nowhere"}},
    "raising": {"BACKEND": f"{__name__}.RaisingBackend"},
    "odd": {"BACKEND": f"{__name__}.BACKEND"},
    "nothing": {},
    "dummy": {"BACKEND": f"{FRAMEWORK}.backends.dummy.DummyBackend", "OPTIONS": {"database": "nowhere"}},
}
TASKS = {"first": {"BACKEND": "no.such.Backend"}, "default": {"BACKEND": BACKEND, "QUEUES": []}, **OTHERS}


class RaisingBackend:
    """Cannot be made."""

    def __init__(self, alias: str, params: Any) -> None:
        raise RuntimeError("it lacks a setting")


class OwnBackend(TasksQBackend):
    """One of ours, as a project may have it."""


def test_only_those_of_our_class_are_ours() -> None:
    with override_settings(TASKS={**TASKS, "own": {"BACKEND": f"{__name__}.OwnBackend"}}):
        assert backend_aliases() == ["default", "own"]
        assert TasksQRouter().db_for_read(Job) is None


@pytest.mark.django_db(databases=["default", "queue"])
def test_the_checks_name_what_is_broken_and_go_on() -> None:
    with override_settings(TASKS=TASKS):
        found = {message.msg: message for message in run_checks() if str(message.id).startswith("tasksq.")}
    assert {message.id for message in found.values()} == {"tasksq.W009"}
    assert sorted(text.split(" ")[0] for text in found) == [
        'TASKS["first"]', 'TASKS["missing"]', 'TASKS["nothing"]', 'TASKS["odd"]', 'TASKS["raising"]',
    ]  # fmt: skip
    assert any("RuntimeError: it lacks a setting" in text for text in found)


def test_what_django_does_after_each_transaction_test_case(transactional_db: None) -> None:
    """It empties the tables, and tells everybody that they were migrated."""
    noop.enqueue()
    with override_settings(TASKS=TASKS):
        call_command("flush", interactive=False, verbosity=0)
        call_command("migrate", "django_tasks_q", verbosity=0)
    assert not Job.objects.exists()


@pytest.mark.parametrize("page", ["job", "result", "queue", "schedule", "worker"])
def test_the_admin_shows_ours(page: str, admin_client: Client) -> None:
    noop.enqueue()
    with override_settings(TASKS=TASKS):
        assert admin_client.get(reverse(f"admin:django_tasks_q_{page}_changelist")).status_code == 200
        assert admin_client.get(reverse("admin:app_list", args=["django_tasks_q"])).status_code == 200


@pytest.mark.parametrize("command", [["taskworker"], ["tasks", "stats"]], ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("alias", "reason"),
    [
        ("missing", "Could not find backend 'does.not.exist'"),
        ("raising", "RuntimeError: it lacks a setting"),
    ],
)
def test_commands_say_what_is_wrong_with_one(command: list[str], alias: str, reason: str, db: None) -> None:
    with override_settings(TASKS=TASKS), pytest.raises(CommandError) as refused:
        call_command(*command, "--backend", alias)
    # The framework of Django and the backport have different names for what the first one raises.
    assert str(refused.value).startswith(f'TASKS["{alias}"] cannot be used: ')
    assert reason in str(refused.value)
    assert refused.value.returncode == 1


@pytest.mark.parametrize("alias", [*OTHERS, "unheard-of"])
def test_none_of_them_keeps_schedules(alias: str) -> None:
    definition = Definition(name="x", kind="interval", expression="60", task_path=noop.module_path, backend=alias)
    with override_settings(TASKS=TASKS), pytest.raises(InvalidSchedule, match="is no backend that keeps schedules"):
        validate(definition)
