"""What is said when TASKS names a backend of ours, but the app is not in INSTALLED_APPS."""

from collections.abc import Iterable

from django.apps import apps
from django.core.checks import CheckMessage, Error

from .exceptions import AppNotInstalled

__all__ = ["find_missing_app", "require_app"]

APP = "django_tasks_q"


def require_app(alias: str) -> None:
    """Raise AppNotInstalled if the app of the backend with this alias is not installed.

    While the apps are being loaded nothing is raised: the system check reports it with all others, once they are.
    """
    if not apps.ready:
        return
    for error in find_missing_app([alias]):
        if not error.is_silenced():
            raise AppNotInstalled(f"System check identified some issues:\n\nERRORS:\n{error}\n")


def find_missing_app(aliases: Iterable[str]) -> list[CheckMessage]:
    """Return an error for each of these backends if their app is not installed."""
    if _is_installed():
        return []
    return [
        Error(
            f'TASKS["{alias}"] is a backend of {APP}, but this app is not installed: it has no tables.',
            hint=f'Add "{APP}" to INSTALLED_APPS.',
            id="tasksq.E008",
        )
        for alias in aliases
    ]


def _is_installed() -> bool:
    # A test case that limits the available apps, as some of Django's own do, puts the others on a stack.
    registries = (apps.app_configs, *apps.stored_app_configs)
    return any(config.name == APP for configs in registries for config in configs.values())
