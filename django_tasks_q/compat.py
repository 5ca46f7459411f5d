"""The one door to the Tasks framework: Django's own from 6.0 on, the django-tasks backport before."""

import logging
import weakref
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import django
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from django.dispatch import Signal

if TYPE_CHECKING:
    from django.tasks import task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.exceptions import (
        InvalidTask,
        InvalidTaskBackend,
        TaskException,
        TaskResultDoesNotExist,
        TaskResultMismatch,
    )
    from django.tasks.signals import task_enqueued, task_finished, task_started

    from .framework import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_PRIORITY,
        DEFAULT_TASK_QUEUE_NAME,
        TASK_REFRESH_ATTRS,
        TaskContext,
        TaskError,
        TaskResult,
        TaskResultStatus,
    )
    from .framework import Task as BaseTask

    FRAMEWORK = "django.tasks"
elif django.VERSION >= (6, 0):
    from django.tasks import task_backends
    from django.tasks.backends.base import BaseTaskBackend
    from django.tasks.base import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_PRIORITY,
        DEFAULT_TASK_QUEUE_NAME,
        TASK_REFRESH_ATTRS,
        TaskContext,
        TaskError,
        TaskResult,
        TaskResultStatus,
    )
    from django.tasks.base import Task as BaseTask
    from django.tasks.exceptions import (
        InvalidTask,
        InvalidTaskBackend,
        TaskException,
        TaskResultDoesNotExist,
        TaskResultMismatch,
    )
    from django.tasks.signals import task_enqueued, task_finished, task_started

    FRAMEWORK = "django.tasks"
else:
    if find_spec("django_tasks") is None:
        raise ImproperlyConfigured(
            f"Django {django.get_version()} has no django.tasks; before 6.0 the package django-tasks has its place. "
            "Install it: pip install django-tasks-q[backport]"
        )
    from django_tasks import exceptions, task_backends
    from django_tasks.backends.base import BaseTaskBackend
    from django_tasks.base import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_PRIORITY,
        DEFAULT_TASK_QUEUE_NAME,
        TASK_REFRESH_ATTRS,
        TaskContext,
        TaskError,
        TaskResult,
        TaskResultStatus,
    )
    from django_tasks.base import Task as BaseTask
    from django_tasks.exceptions import (
        TaskException,
        TaskResultDoesNotExist,
        TaskResultMismatch,
    )
    from django_tasks.signals import task_enqueued, task_finished, task_started

    # The backport renamed its exceptions to Django's spelling after 0.12.
    InvalidTask = getattr(exceptions, "InvalidTask", None) or exceptions.InvalidTaskError
    InvalidTaskBackend = getattr(exceptions, "InvalidTaskBackend", None) or exceptions.InvalidTaskBackendError

    FRAMEWORK = "django_tasks"

__all__ = [
    "DEFAULT_TASK_BACKEND_ALIAS",
    "DEFAULT_TASK_PRIORITY",
    "DEFAULT_TASK_QUEUE_NAME",
    "FRAMEWORK",
    "TASK_REFRESH_ATTRS",
    "Audience",
    "BaseTask",
    "BaseTaskBackend",
    "InvalidTask",
    "InvalidTaskBackend",
    "TaskContext",
    "TaskError",
    "TaskException",
    "TaskResult",
    "TaskResultDoesNotExist",
    "TaskResultMismatch",
    "TaskResultStatus",
    "configured_aliases",
    "register_framework",
    "task_backends",
    "task_enqueued",
    "task_finished",
    "task_started",
]


def register_framework() -> None:
    """Make the framework's own log receivers active, and leave its system check to ours.

    Django registers both when django.tasks is imported, the backport in an app that need not be installed. With one
    backend that cannot be imported, the framework's check ends every command with a traceback: `checks` does the same
    for each backend apart.
    """
    import_module(f"{FRAMEWORK}.signals")
    registry.registered_checks.discard(import_module(f"{FRAMEWORK}.checks").check_tasks)


def configured_aliases() -> dict[str, dict[str, Any]]:
    """Return TASKS as the framework sees it: alias to parameters."""
    settings: dict[str, dict[str, Any]] = task_backends.settings
    return settings


class Audience:
    """Who listens to a signal of the framework.

    The framework's own log does, to every one; but it drops what its level does not let through, and to make what a
    signal carries takes longer than many a task.
    """

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self._log = logging.getLogger(FRAMEWORK)
        self._known: list[Any] = []
        self._has_others = False

    def is_heard(self, *, failed: bool = False) -> bool:
        """Return whether anybody would notice if the signal was not sent. failed: the log would call it an error."""
        if self.signal.receivers != self._known:
            self._known = list(self.signal.receivers)
            self._has_others = any(_is_another(entry[1]) for entry in self._known)
        return self._has_others or self._log.isEnabledFor(logging.ERROR if failed else logging.INFO)


def _is_another(receiver: Any) -> bool:
    found = receiver() if isinstance(receiver, weakref.ReferenceType) else receiver
    return found is not None and getattr(found, "__module__", None) != f"{FRAMEWORK}.signals"
