"""Finding the project's tasks: the task modules of the installed apps, which OPTIONS["modules"] names."""

import logging
import pkgutil
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import module_has_submodule

from .backend import backend_aliases
from .compat import task_backends
from .conf import DEFAULTS

__all__ = ["Discovered", "import_tasks", "is_somewhere"]

logger = logging.getLogger("django_tasks_q.worker")
# Modules of a package that contain tests. They may need packages that only developers have installed.
TESTS = {"conftest", "test", "tests"}


@dataclass(frozen=True, slots=True)
class Discovered:
    """The dotted names of the task modules that were imported, and of those that could not be."""

    imported: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether all that were found could be imported."""
        return not self.failed


def import_tasks() -> Discovered:
    """Import the task modules of each installed app: those in OPTIONS["modules"] of any of our backends.

    All modules of a package are imported, except tests and names with a leading underscore. A module that raises is
    logged; the others are imported anyway.
    """
    search = _Search()
    names = _module_names()
    for config in apps.get_app_configs():
        if config.module is not None:
            for name in names:
                search.find(config.module, name)
    return Discovered(tuple(search.imported), tuple(search.failed))


def is_somewhere(name: str) -> bool:
    """Return whether any installed app has a module with this relative name. A package that raises may have it."""
    return any(_has(config.module, name) for config in apps.get_app_configs() if config.module is not None)


def _module_names() -> list[str]:
    aliases = backend_aliases()
    if not aliases:
        return list(DEFAULTS.modules)
    # Tasks of one backend are in the same modules as those of another.
    return list(dict.fromkeys(name for alias in aliases for name in _named_by(alias)))


def _named_by(alias: str) -> tuple[str, ...]:
    try:
        modules: tuple[str, ...] = task_backends[alias].config.modules
    except ImproperlyConfigured:
        # The system check says what is wrong.
        return DEFAULTS.modules
    return modules


class _Search:
    """Imports what it finds, and keeps the names in the order in which they were found."""

    def __init__(self) -> None:
        self.imported: dict[str, None] = {}
        self.failed: dict[str, None] = {}

    def find(self, package: ModuleType, name: str) -> None:
        """Import the module with this name, relative to a package, and those in it. Do nothing if there is none."""
        first, _dot, rest = name.partition(".")
        if not module_has_submodule(package, first):
            return
        path = f"{package.__name__}.{first}"
        module = self._import(path)
        if module is None:
            return
        if rest:
            self.find(module, rest)
        else:
            self.imported[path] = None
            self._walk(module)

    def _walk(self, module: ModuleType) -> None:
        for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
            if not found.name.startswith(("_", "test_")) and found.name not in TESTS:
                self.find(module, found.name)

    def _import(self, path: str) -> ModuleType | None:
        if path in self.failed:
            return None
        try:
            return import_module(path)
        except (Exception, SystemExit):
            # The others can still run; jobs of this module wait with the reason. A script may be among them, and exit.
            logger.exception("The tasks of %s cannot be imported.", path)
            self.failed[path] = None
            return None


def _has(package: ModuleType, name: str) -> bool:
    first, _dot, rest = name.partition(".")
    if not module_has_submodule(package, first):
        return False
    try:
        return not rest or _has(import_module(f"{package.__name__}.{first}"), rest)
    except (Exception, SystemExit):  # A package of the project may raise anything; import_tasks() reports it.
        return True
