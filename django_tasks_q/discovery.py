"""Finding the project's tasks."""

import logging
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule

__all__ = ["import_tasks"]

logger = logging.getLogger("django_tasks_q.worker")


def import_tasks() -> bool:
    """Import the `tasks` module of each installed app, and say whether all could be."""
    complete = True
    for config in apps.get_app_configs():
        if config.module is not None and module_has_submodule(config.module, "tasks"):
            try:
                import_module(f"{config.name}.tasks")
            except Exception:
                # The others can still run; jobs of this module wait with the reason.
                logger.exception("The tasks of %s cannot be imported.", config.name)
                complete = False
    return complete
