"""The backend that a command is about."""

from typing import Any

from django.core.management.base import CommandError

from ..compat import task_backends
from .terminal import line

__all__ = ["find_backend"]


def find_backend(alias: str) -> Any:
    """Return the backend with this alias in TASKS. Raise CommandError if it cannot be created."""
    try:
        return task_backends[alias]
    except Exception as error:  # Another package's backend may raise anything.
        reason = f"{type(error).__name__}: {error}"
        raise CommandError(line(f'TASKS["{alias}"] cannot be used: {reason}. Correct its BACKEND.')) from error
