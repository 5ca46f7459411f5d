"""Which tasks there are."""

import sys
from functools import cache

from ..compat import BaseTask
from ..discovery import Discovered, import_tasks
from ..models import Job, Result
from .names import newest_values

__all__ = ["known_tasks", "task_paths"]


def known_tasks() -> dict[str, BaseTask]:
    """Return the tasks of every module that has been imported, by their dotted paths.

    The first call imports the task modules of the installed apps, if that has not been done before.
    """
    _import_once()
    return {
        value.module_path: value
        for name, module in list(sys.modules.items())
        for attribute, value in list(getattr(module, "__dict__", {}).items())
        # A task that was imported from elsewhere is known by the module that defines it.
        if isinstance(value, BaseTask) and value.module_path == f"{name}.{attribute}"
    }


def task_paths(using: str) -> list[str]:
    """Return the dotted paths of the tasks that this process knows or that ran lately, sorted."""
    ran = (newest_values(model._default_manager.using(using), "task_path") for model in (Job, Result))
    return sorted({*known_tasks(), *(path for paths in ran for path in paths)})


@cache
def _import_once() -> Discovered:
    return import_tasks()
