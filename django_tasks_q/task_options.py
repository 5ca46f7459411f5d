"""The options of a task, as its decorator and using() take them: checked, compared, stored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict

from django.utils.module_loading import import_string

from .compat import BaseTask, InvalidTask
from .conf import DEFAULTS, Options, is_seconds, to_seconds
from .exceptions import CorruptJob
from .payloads import dump_value
from .retries import Backoff, dump_backoff, load_backoff, make_backoff

__all__ = [
    "EXPIRES_AT",
    "HIGHEST_PRIORITY",
    "LONGEST_PATH",
    "LONGEST_QUEUE_NAME",
    "LOWEST_PRIORITY",
    "OPTION_NAMES",
    "DecoratorSettings",
    "TaskOptions",
    "TaskSettings",
    "clean_options",
    "dump_option",
    "load_options",
    "resolve_options",
]

Seconds = float | timedelta
ExceptionTypes = type[BaseException] | tuple[type[BaseException], ...] | list[type[BaseException]]
# An option that a schedule gives its jobs: the moment, in ISO 8601, after which none begins any more.
EXPIRES_AT = "expires_at"
# Options that are classes of exceptions; stored as their paths.
EXCEPTIONS = {"retry_on", "dont_retry_on"}


class TaskSettings(TypedDict, total=False):
    """The options that a decorator and using() take beside the framework's own: see Task. None leaves one as it is."""

    max_attempts: int | None
    backoff: Backoff | Seconds | Sequence[Seconds] | None
    retry_on: ExceptionTypes | None
    dont_retry_on: ExceptionTypes | None
    timeout: Seconds | None
    soft_timeout: Seconds | None
    metadata: Mapping[str, object] | None
    atomic: bool | None
    store_result: bool | None


class DecoratorSettings(TaskSettings, total=False):
    """All options of the decorator but takes_context."""

    priority: int
    queue_name: str
    backend: str


# The priorities that DEP 14 knows; and the characters of a task's path, and of a queue's name, that the tables hold.
LOWEST_PRIORITY, HIGHEST_PRIORITY = -100, 100
LONGEST_PATH, LONGEST_QUEUE_NAME = 255, 128
OPTION_NAMES = tuple(TaskSettings.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """What holds for one job: the call's options, else the task's, else the backend's."""

    max_attempts: int
    backoff: Backoff
    retry_on: tuple[type[BaseException], ...]
    dont_retry_on: tuple[type[BaseException], ...]
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
        dont_retry_on=choose("dont_retry_on", ()),
        timeout=choose("timeout", defaults.timeout),
        soft_timeout=choose("soft_timeout", defaults.soft_timeout),
        atomic=choose("atomic", False),
        store_result=choose("store_result", defaults.store_result),
    )


def load_options(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what changed_options() has made. Raise CorruptJob where it cannot have come from there."""
    try:
        loaded = {name: value for name, value in stored.items() if name != EXPIRES_AT}
        if "backoff" in loaded:
            loaded["backoff"] = load_backoff(loaded["backoff"])
        for name in EXCEPTIONS & loaded.keys():
            loaded[name] = tuple(import_string(path) for path in loaded[name])
        return clean_options(loaded)
    except Exception as error:
        raise CorruptJob(f"The job's options are {stored!r:.200}, which no task takes: {error!r}.") from error


def dump_option(name: str, value: Any) -> Any:
    if name == "backoff":
        return dump_backoff(value)
    if name in EXCEPTIONS:
        return [f"{kind.__module__}.{kind.__qualname__}" for kind in value]
    return value


def clean_options(given: dict[str, Any]) -> dict[str, Any]:
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


def _clean_metadata(name: str, value: object) -> dict[str, object]:
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
    "dont_retry_on": _clean_exceptions,
    "timeout": _clean_seconds,
    "soft_timeout": _clean_seconds,
    "metadata": _clean_metadata,
    "atomic": _clean_flag,
    "store_result": _clean_flag,
}
