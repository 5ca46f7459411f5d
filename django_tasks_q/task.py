"""The @task decorator and its options, the same on every supported Django."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, overload

from django.db import transaction
from django.utils.module_loading import import_string

from .compat import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_PRIORITY,
    DEFAULT_TASK_QUEUE_NAME,
    BaseTask,
    InvalidTask,
    task_backends,
)
from .conf import DEFAULTS, Options, is_seconds, to_seconds
from .exceptions import CorruptJob, UnknownTask
from .payloads import dump_value
from .retries import Backoff, dump_backoff, load_backoff, make_backoff

__all__ = [
    "EXPIRES_AT",
    "OPTION_NAMES",
    "Task",
    "TaskOptions",
    "enqueue_after_commit",
    "load_options",
    "overrides",
    "resolve_options",
    "task",
    "varied",
]

Seconds = float | timedelta
# An option that a schedule gives its jobs: the moment, in ISO 8601, after which none begins any more.
EXPIRES_AT = "expires_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(BaseTask):
    """Django's Task with this package's options. None leaves the choice to the backend's OPTIONS.

    max_attempts: how often the task may run; 1 means no retry, 0 means no limit.
    backoff: how long to wait between attempts: a policy of `retries`, seconds, or a sequence of seconds.
    retry_on: the exceptions that are retried; all of Exception where there is none.
    timeout: seconds or timedelta after which the process that runs the task is killed.
    soft_timeout: seconds or timedelta after which SoftTimeout is raised in the task.
    metadata: JSON that stays with the job; context.metadata in the task.
    atomic: run the task and record its completion in one transaction of the queue's database.
    store_result: keep the return value.
    """

    max_attempts: int | None = None
    backoff: Backoff | None = None
    retry_on: tuple[type[BaseException], ...] | None = None
    timeout: float | None = None
    soft_timeout: float | None = None
    metadata: Mapping[str, Any] | None = field(default=None, hash=False)
    atomic: bool | None = None
    store_result: bool | None = None

    def __post_init__(self) -> None:
        for name, value in _clean_options({name: getattr(self, name) for name in OPTION_NAMES}).items():
            object.__setattr__(self, name, value)
        # A slotted dataclass is made twice; the cell of super() holds the first one before Python 3.14.
        BaseTask.__post_init__(self)

    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | timedelta | None = None,
        backend: str | None = None,
        **options: Any,
    ) -> "Task":
        """Return a copy with other settings; None leaves one as it is. Raise TypeError for an unknown option."""
        if unknown := sorted(set(options) - set(OPTION_NAMES)):
            known = ", ".join(["priority", "queue_name", "run_after", "backend", *OPTION_NAMES])
            raise TypeError(f"using() got an unknown option {unknown[0]!r}. Options: {known}.")
        given = {"priority": priority, "queue_name": queue_name, "run_after": run_after, "backend": backend, **options}
        if given.get("metadata") and self.metadata:
            given["metadata"] = {**self.metadata, **options["metadata"]}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def enqueue_on_commit(self, *args: Any, **kwargs: Any) -> None:
        """Enqueue when the current transaction commits, or now where there is none.

        Enqueueing is part of the transaction anyway; this is for a task whose database is not the one you write to.
        """
        enqueue_after_commit(self, args, kwargs)


def enqueue_after_commit(task: BaseTask, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Enqueue a call once the current transaction commits, with any backend: the tests' may be Django's own."""
    backend = task.get_backend()
    if hasattr(backend, "enqueue_on_commit"):
        backend.enqueue_on_commit(task, args, kwargs)
    else:
        transaction.on_commit(partial(backend.enqueue, task, args, kwargs))


OPTION_NAMES = tuple(item.name for item in fields(Task) if item.name not in {base.name for base in fields(BaseTask)})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What holds for one job: the call's options, else the task's, else the backend's."""

    max_attempts: int
    backoff: Backoff
    retry_on: tuple[type[BaseException], ...]
    timeout: float | None
    soft_timeout: float | None
    atomic: bool
    store_result: bool


def resolve_options(task: BaseTask, defaults: Options) -> TaskOptions:
    """Return the options of a job of this task, which using() may have changed."""

    def choose(name: str, default: Any) -> Any:
        value = getattr(task, name, None)
        return default if value is None else value

    return TaskOptions(
        max_attempts=choose("max_attempts", defaults.max_attempts),
        backoff=choose("backoff", defaults.backoff),
        retry_on=choose("retry_on", (Exception,)),
        timeout=choose("timeout", defaults.timeout),
        soft_timeout=choose("soft_timeout", defaults.soft_timeout),
        atomic=choose("atomic", False),
        store_result=choose("store_result", defaults.store_result),
    )


def declared_task(path: str) -> BaseTask:
    """Return the task that is defined at a path: only what a decorator has marked may be run.

    Raise UnknownTask saying why there is none: a module can fail in any way while it is imported.
    """
    try:
        found = import_string(path)
    except Exception as error:
        raise UnknownTask(f"There is no task at {path!r}: {type(error).__name__}: {error}") from error
    if not isinstance(found, BaseTask):
        raise UnknownTask(f"There is no task at {path!r}: what stands there has no @task decorator.")
    return found


def overrides(task: BaseTask) -> dict[str, Any]:
    """Return, as JSON, the options in which this task differs from the one at its path.

    Raise InvalidTask where no worker could find the task at its path.
    """
    try:
        declared = declared_task(task.module_path)
    except UnknownTask:
        declared = None
    if declared is None or declared.func is not task.func or task.func.__module__ == "__main__":
        raise InvalidTask(
            f"A worker could not import the task from {task.module_path!r}. Define it in a module of the project "
            "(not in a script that is run), and keep it there under the function's own name."
        )
    if declared is task or not isinstance(task, Task):
        return {}
    changed = {name: getattr(task, name) for name in OPTION_NAMES if name != "metadata"}
    return {
        name: _dump_option(name, value)
        for name, value in changed.items()
        if value is not None and value != getattr(declared, name, None)
    }


def load_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what overrides() stored. Raise CorruptJob where it cannot have come from there."""
    try:
        loaded = {name: value for name, value in stored.items() if name != EXPIRES_AT}
        if "backoff" in loaded:
            loaded["backoff"] = load_backoff(loaded["backoff"])
        if "retry_on" in loaded:
            loaded["retry_on"] = tuple(import_string(path) for path in loaded["retry_on"])
        return _clean_options(loaded)
    except Exception as error:
        raise CorruptJob(f"The job's options are {stored!r:.200}, which no task takes: {error!r}.") from error


def varied(task: BaseTask, changes: Mapping[str, Any]) -> BaseTask:
    """Return a copy with other values, not validated: a job stays what it was when the settings have changed since."""
    copy: BaseTask = object.__new__(type(task))
    for item in fields(task):
        object.__setattr__(copy, item.name, changes.get(item.name, getattr(task, item.name)))
    return copy


def _dump_option(name: str, value: Any) -> Any:
    if name == "backoff":
        return dump_backoff(value)
    if name == "retry_on":
        return [f"{kind.__module__}.{kind.__qualname__}" for kind in value]
    return value


def _clean_options(given: dict[str, Any]) -> dict[str, Any]:
    """Return the options in the form that is compared and stored. Raise InvalidTask for one that makes no sense."""
    cleaned = {name: _CLEANERS[name](name, value) for name, value in given.items() if value is not None}
    timeout, soft_timeout = cleaned.get("timeout"), cleaned.get("soft_timeout")
    if timeout is not None and soft_timeout is not None and soft_timeout >= timeout:
        raise InvalidTask(
            f"soft_timeout ({soft_timeout:g} s) must be shorter than timeout ({timeout:g} s), "
            "or the task is killed before it can clean up."
        )
    return cleaned


def _clean_seconds(name: str, value: Any) -> float:
    if not is_seconds(value) or not to_seconds(value):
        raise InvalidTask(
            f"{name} must be a positive number of seconds or a timedelta, at most a hundred years, not {value!r}."
        )
    return to_seconds(value)


def _clean_count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidTask(f"{name} must be a whole number, 0 for no limit, not {value!r}.")
    return value


def _clean_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidTask(f"{name} must be True or False, not {value!r}.")
    return value


def _clean_backoff(name: str, value: Any) -> Backoff:
    try:
        return make_backoff(value)
    except TypeError as error:
        raise InvalidTask(str(error)) from None


def _clean_exceptions(name: str, value: Any) -> tuple[type[BaseException], ...]:
    kinds = value if isinstance(value, tuple | list) else (value,)
    for kind in kinds:
        if not isinstance(kind, type) or not issubclass(kind, BaseException):
            raise InvalidTask(f"{name} must be exception classes, not {kind!r}.")
    return tuple(kinds)


def _clean_metadata(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidTask(f"{name} must be a dict, not {value!r}.")
    try:
        dump_value(value, name, DEFAULTS.max_payload)
    except TypeError as error:
        raise InvalidTask(str(error)) from None
    return dict(value)


_CLEANERS: dict[str, Callable[[str, Any], Any]] = {
    "max_attempts": _clean_count,
    "backoff": _clean_backoff,
    "retry_on": _clean_exceptions,
    "timeout": _clean_seconds,
    "soft_timeout": _clean_seconds,
    "metadata": _clean_metadata,
    "atomic": _clean_flag,
    "store_result": _clean_flag,
}

if TYPE_CHECKING:

    @overload
    def task(function: Callable[..., Any], /) -> Task: ...
    @overload
    def task(
        *,
        priority: int = ...,
        queue_name: str = ...,
        backend: str = ...,
        takes_context: bool = ...,
        max_attempts: int | None = ...,
        backoff: Backoff | Seconds | tuple[Seconds, ...] | list[Seconds] | None = ...,
        retry_on: type[BaseException] | tuple[type[BaseException], ...] | None = ...,
        timeout: Seconds | None = ...,
        soft_timeout: Seconds | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        atomic: bool | None = ...,
        store_result: bool | None = ...,
    ) -> Callable[[Callable[..., Any]], Task]: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    priority: int = DEFAULT_TASK_PRIORITY,
    queue_name: str = DEFAULT_TASK_QUEUE_NAME,
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    takes_context: bool = False,
    **options: Any,
) -> Any:
    """Make a task of a function: Django's decorator, with the options of `Task`, on every supported Django.

    Raise InvalidTask for an option that makes no sense, TypeError for one that does not exist.
    """
    if "run_after" in options:
        raise TypeError(
            "run_after cannot be defined statically with the @task decorator. "
            "Use .using(run_after=...) to set it dynamically."
        )
    if unknown := sorted(set(options) - set(OPTION_NAMES)):
        known = ", ".join(["priority", "queue_name", "backend", "takes_context", *OPTION_NAMES])
        raise TypeError(f"@task got an unknown option {unknown[0]!r}. Options: {known}.")

    def decorate(func: Callable[..., Any]) -> Task:
        kind = task_backends[backend].task_class
        made: Task = (kind if issubclass(kind, Task) else Task)(
            func=func,
            priority=priority,
            queue_name=queue_name,
            backend=backend,
            run_after=None,
            takes_context=takes_context,
            **options,
        )
        return made

    return decorate(function) if function else decorate
