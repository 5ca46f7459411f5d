"""The reference says what the code says."""

import re
from argparse import ArgumentParser
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

import django_tasks_q
from django_tasks_q import Exponential, exceptions, signals, testing
from django_tasks_q.conf import DEFAULTS, NOTIFIERS, Options, to_seconds
from django_tasks_q.task_options import OPTION_NAMES
from django_tasks_q.testing import plugin
from tests.worker import behaviours

from .blocks import PAGES, ROOT, page_name

REFERENCE = ROOT / "docs" / "reference"
PACKAGE = Path(django_tasks_q.__file__).parent
MODELS = list(apps.get_app_config("django_tasks_q").get_models())
PROOF = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def rows(page: str, column: int = 0) -> dict[str, list[str]]:
    """Return the rows of all tables of a page whose cell in a column is code, by that cell."""
    found = {}
    for line in (REFERENCE / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) > column:
            for name in re.findall(r"`([^`]+)`", cells[column]):
                found[name] = cells
    return found


def test_every_option_of_a_backend_is_described_with_its_default() -> None:
    described = rows("settings.md")
    names = {field.name for field in fields(Options)}
    assert names == set(described) - set(NOTIFIERS)
    for name in names:
        default = eval(described[name][2].strip("`"), {"timedelta": timedelta, "Exponential": Exponential})
        default = tuple(default) if isinstance(default, list) else default
        expected = getattr(DEFAULTS, name)
        assert (to_seconds(default) if isinstance(default, timedelta) else default) == expected, name


def test_every_notifier_is_described() -> None:
    assert set(NOTIFIERS) <= set(rows("settings.md"))


def test_every_option_of_a_task_is_described() -> None:
    described = set(rows("task-options.md"))
    assert {*OPTION_NAMES, "queue_name", "priority", "backend", "takes_context", "run_after"} == {
        name for name in described if not name.startswith("context.")
    }


def test_every_option_of_taskworker_is_described_with_its_default() -> None:
    described = rows("taskworker.md")
    options = _own_options("taskworker")
    assert set(options) == {name for name in described if name.startswith("--")}
    for name in ("--backend", "--shutdown-timeout", "--log-format"):
        assert type(options[name])(described[name][1].strip("`")) == options[name]


def _own_options(name: str) -> dict[str, Any]:
    """Return the options that a command has beyond those of every command, and their defaults."""
    theirs = _defaults(load_command_class("django_tasks_q", name).create_parser("manage.py", name))
    return {name: default for name, default in theirs.items() if name not in _defaults(_plain_parser())}


def _plain_parser() -> ArgumentParser:
    return BaseCommand().create_parser("manage.py", "plain")


def _defaults(parser: ArgumentParser) -> dict[str, Any]:
    long = [(name, action.default) for action in parser._actions for name in action.option_strings]
    return {name: default for name, default in long if name.startswith("--")}


def test_every_system_check_is_described() -> None:
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert set(re.findall(r'"(tasksq\.[EW]\d+)"', code)) == set(rows("checks.md"))


def test_every_hostile_behaviour_is_described_as_it_is_tested() -> None:
    page = (REFERENCE / "hostile-tasks.md").read_text()
    assert [line for line in page.splitlines() if line.startswith("|")] == behaviours.table().splitlines()


def test_every_signal_is_described() -> None:
    assert set(signals.__all__) <= set(rows("signals.md"))


def test_every_exception_is_described() -> None:
    page = (REFERENCE / "exceptions.md").read_text()
    assert set(exceptions.__all__) == set(re.findall(r"autoexception:: (\w+)", page))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_column_is_described(model: Any) -> None:
    page = (REFERENCE / "tables.md").read_text()
    section = page.split(f"## {model._meta.db_table}\n")[1].split("\n## ")[0]
    if model.__name__ == "Result":
        # Its own columns, in addition to those of a job.
        section += page.split("## django_tasks_q_job\n")[1].split("\n## ")[0]
    described = {name for line in section.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    # A key of several columns has none of its own.
    assert {field.column for field in model._meta.fields if field.column} <= described


def test_every_public_name_is_described() -> None:
    page = (REFERENCE / "api.md").read_text() + (REFERENCE / "exceptions.md").read_text()
    described = set(re.findall(r"auto\w+:: (\w+)", page))
    assert set(django_tasks_q.__all__) <= described


def test_every_name_of_the_testing_kit_is_described() -> None:
    page = (REFERENCE / "testing.md").read_text()
    assert set(testing.__all__) == set(re.findall(r"auto\w+:: (\w+)", page))
    assert set(plugin.__all__) <= set(rows("testing.md"))


def test_every_proof_of_a_promise_exists() -> None:
    page = (ROOT / "docs" / "explanation" / "guarantees.md").read_text()
    promises = page.split("## Promised")[1].split("\n## ")[0].strip().split("\n\n**")
    for promise in promises:
        proofs = PROOF.findall(promise)
        assert proofs, promise
        for path, name in proofs:
            assert (ROOT / path).is_file(), path
            assert not name or f"def {name}(" in (ROOT / path).read_text(), name


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert broken == []
