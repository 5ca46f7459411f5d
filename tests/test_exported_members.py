import ast
import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import django_tasks_q

PACKAGE = Path(django_tasks_q.__file__).parent
MODULES = [module.name for module in pkgutil.walk_packages([str(PACKAGE)], "django_tasks_q.")]
DECLARING = [name for name in MODULES if ".migrations" not in name]


def test_every_public_name_of_the_package_is_exported() -> None:
    public = {
        name
        for name, value in vars(django_tasks_q).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    # A module of the same name as a public function would hide it, or be hidden.
    assert public | {"task"} == set(django_tasks_q.__all__)
    assert callable(django_tasks_q.task)


@pytest.mark.parametrize("name", DECLARING)
def test_a_module_declares_what_it_offers_and_has_it(name: str) -> None:
    module = import_module(name)
    source = Path(module.__file__ or "").read_text()
    defines = [item for item in ast.parse(source).body if isinstance(item, ast.FunctionDef | ast.ClassDef)]
    if not any(not item.name.startswith("_") for item in defines):
        return
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    missing = [item for item in module.__all__ if not hasattr(module, item)]
    assert not missing, f"{name} promises {missing}"


def test_the_package_can_be_imported_before_there_are_settings() -> None:
    """As settings modules, and scripts that call settings.configure(), do."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-c", "import django_tasks_q; django_tasks_q.cron('0 3 * * *')"]
    done = subprocess.run(command, env=environment, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_error_is_a_tasks_q_error() -> None:
    errors = import_module("django_tasks_q.exceptions")
    kinds = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(kind, django_tasks_q.TasksQError) for kind in kinds)
    assert [kind.__name__ for kind in kinds if not kind.__doc__] == []
    undrawn = [kind.__name__ for kind in kinds if kind.__name__ not in (errors.__doc__ or "")]
    assert not undrawn, f"the tree at the top of exceptions.py lacks {undrawn}"
