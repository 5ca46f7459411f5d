"""Commands that fix problems, ready to be copied into a shell."""

import shlex

from ..compat import DEFAULT_TASK_BACKEND_ALIAS

__all__ = ["migrate", "prune", "resume_queue", "start_worker"]


def start_worker(alias: str, queue: str | None = None) -> str:
    """Return the command that starts a worker of a backend, for one queue if given."""
    return _command("taskworker", *_backend(alias), *([] if queue is None else ["--queues", queue]))


def resume_queue(alias: str, queue: str) -> str:
    return _command("tasks", "resume", *_backend(alias), queue)


def prune(alias: str) -> str:
    return _command("tasks", "prune", *_backend(alias))


def migrate(using: str) -> str:
    return _command("migrate", "django_tasks_q", "--database", using)


def _backend(alias: str) -> list[str]:
    return [] if alias == DEFAULT_TASK_BACKEND_ALIAS else ["--backend", alias]


def _command(*words: str) -> str:
    return shlex.join(["manage.py", *words])
