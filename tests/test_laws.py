"""Rules of the project that no linter checks."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_tasks_q

PACKAGE = Path(django_tasks_q.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
LONGEST_FILE, LONGEST_FUNCTION = 350, 40


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function without its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_no_module_has_an_empty_name() -> None:
    assert [relative(path) for path in FILES if path.stem in EMPTY_NAMES or path.parent.name in EMPTY_NAMES] == []


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    assert [node.name for node in functions(path) if length(node) > LONGEST_FUNCTION] == []


def test_vendors_are_told_apart_in_two_places_only() -> None:
    reading = {
        relative(path)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "vendor"
    }
    assert reading <= {"brokers/__init__.py", "notifiers/__init__.py"}


# A worker's row is written by services, but for what control asks of it, and so are statistics; a queue's by control;
# jobs and results by brokers alone, schedules and the record of their occurrences by `schedules`, whoever asks for it.
WRITERS = {
    "Job": {"brokers"},
    "Result": {"brokers"},
    "JobLog": {"brokers"},
    "Worker": {"services", "control"},
    "Sleeper": {"services"},
    "Statistics": {"services"},
    "Queue": {"control"},
    "Schedule": {"schedules"},
    "ScheduleRun": {"schedules"},
}
WRITING = {
    "create",
    "bulk_create",
    "update",
    "bulk_update",
    "delete",
    "get_or_create",
    "update_or_create",
    "_raw_delete",
}


def written(path: Path) -> Iterator[str]:
    """Yield the models whose managers this file calls a writing method on, in one expression."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITING:
            yield from {name.id for name in ast.walk(node.func.value) if isinstance(name, ast.Name)} & WRITERS.keys()


def test_commits_are_checked_by_the_ruff_that_checks_all() -> None:
    hooks, tox = (PACKAGE.with_name(name).read_text() for name in (".pre-commit-config.yaml", "tox.ini"))
    (checked,) = re.findall(r"ruff-pre-commit\n +rev: v(\d+\.\d+)\.", hooks)
    assert re.findall(r"ruff~=(\d+\.\d+)\.", tox) == [checked]


def test_ci_leaves_out_what_is_there() -> None:
    """A file that has moved would run everywhere again, unnoticed."""
    root = PACKAGE.parent
    arrays = " ".join(
        re.findall(r"^WITH_\w+=\((.*?)\)$", (root / ".ci" / "run").read_text(), re.MULTILINE | re.DOTALL)
    )
    expanded = subprocess.run(
        ["bash", "-c", f"echo {' '.join(arrays.split())}"], check=True, capture_output=True, text=True
    ).stdout
    paths = re.findall(r"--ignore=(\S+)", expanded)
    assert len(paths) > 20
    assert [path for path in paths if not (root / path).exists()] == []


def test_each_table_has_one_writer() -> None:
    wrong = [
        f"{relative(path)} writes {model}, which only {sorted(WRITERS[model])} may"
        for path in FILES
        for model in written(path)
        if path.relative_to(PACKAGE).parts[0] not in WRITERS[model]
    ]
    assert wrong == []
