"""OPTIONS of a backend, read once into a frozen value."""

import difflib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from .lifecycle import ResultStatus
from .retries import Backoff, Exponential, make_backoff

__all__ = [
    "DEFAULTS",
    "LONGEST",
    "NOTIFIERS",
    "OptionProblem",
    "Options",
    "find_problems",
    "is_seconds",
    "read_options",
    "to_seconds",
]

NOTIFIERS = ("auto", "polling", "postgresql", "redis")
DAY = 86_400.0
# Seconds: a hundred years, which every clock and calendar can represent.
LONGEST = 36_525 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What TASKS[alias]["OPTIONS"] may contain. Times are seconds, or timedelta in the settings."""

    # Where the tables are; None asks the routers.
    database: str | None = None

    # How long results are kept; None keeps them for ever.
    result_ttl: float | None = 7 * DAY
    failure_ttl: float | None = 30 * DAY

    # Whether workers count what happens by the minute, and how long the counts are kept; None keeps them for ever.
    statistics: bool = True
    statistics_ttl: float | None = 90 * DAY

    # The token that scripts send to read the JSON API; None allows only staff.
    api_token: str | None = field(default=None, repr=False)

    # Limits of a row: bytes of JSON, errors kept with a job, characters of one traceback.
    max_payload: int = 1_048_576
    max_errors: int = 20
    max_traceback: int = 32_768

    # The lowest level of log lines that are kept with a job, None for none; and how many bytes of each run.
    capture_logs: str | None = "INFO"
    max_logs: int = 65_536

    # Whether enqueue() refuses arguments that the task's function does not take.
    check_arguments: bool = True

    # Defaults for every task of this backend; a task's own options override them.
    max_attempts: int = 1
    backoff: Backoff = Exponential()
    timeout: float | None = None
    soft_timeout: float | None = None
    store_result: bool = True

    # How long a cancelled job may take to end before its process is killed.
    cancel_grace: float = 10.0
    # How often a job may be lost with its process before it is FAILED.
    max_losses: int = 3
    # How long a job may wait for a worker that knows its task, and how often workers look.
    unknown_task_grace: float = 3_600.0
    unknown_task_delay: float = 10.0

    # How often a worker reports, and when the others presume it dead.
    heartbeat_interval: float = 2.0
    rescue_after: float = 15.0

    # How a sleeping worker is woken; the longest sleep without a wake-up.
    notifier: str = "auto"
    redis_cache: str = "default"
    poll_interval: float | None = None

    # Where tasks are: modules or packages, named relative to each installed app.
    modules: tuple[str, ...] = ("tasks",)

    # Dotted paths of subclasses of middleware.Middleware, the outermost first.
    middleware: tuple[str, ...] = ()

    # Periodic jobs: name to {"task": ..., "cron": ...}; see schedules.declaring.
    schedules: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def ttl(self, status: str) -> float | None:
        """Return how many seconds a result of this status is kept; None for ever."""
        return self.failure_ttl if status == ResultStatus.FAILED else self.result_ttl


@dataclass(frozen=True, slots=True)
class OptionProblem:
    """One problem in OPTIONS. `unknown`: the key does not exist; otherwise its value is invalid."""

    key: str
    message: str
    hint: str
    unknown: bool = False


DEFAULTS = Options()
NAMES = tuple(item.name for item in fields(Options))
_SECONDS = {
    "timeout": (0.001, True),
    "soft_timeout": (0.001, True),
    "cancel_grace": (0.0, False),
    "result_ttl": (0.0, True),
    "failure_ttl": (0.0, True),
    "statistics_ttl": (0.0, True),
    "unknown_task_grace": (0.0, False),
    "unknown_task_delay": (0.1, False),
    "heartbeat_interval": (0.1, False),
    "rescue_after": (1.0, False),
    "poll_interval": (0.01, True),
}
# Options that no message shows.
SECRETS = {"api_token"}
SHORTEST_TOKEN = 20
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# The least, and the most that the databases can store.
_COUNTS = {
    "max_payload": (1_024, 2**31 - 1),
    "max_errors": (1, 2**31 - 1),
    "max_traceback": (200, 2**31 - 1),
    # Even with escaping, it fits into one statement.
    "max_logs": (1_024, 2**20),
    "max_attempts": (0, 2**31 - 1),
    "max_losses": (1, 2**15 - 1),
}


def read_options(alias: str, given: Mapping[str, Any]) -> Options:
    """Return the options of the backend with this alias. Raise ImproperlyConfigured for the first wrong one."""
    for problem in find_problems(given):
        raise ImproperlyConfigured(f'TASKS["{alias}"]["OPTIONS"]: {problem.message} {problem.hint}')
    return Options(**{key: _convert(key, value) for key, value in given.items()})


def find_problems(given: Any) -> Iterator[OptionProblem]:
    """Yield all problems in OPTIONS."""
    if not isinstance(given, Mapping):
        yield OptionProblem("OPTIONS", f"OPTIONS is {given!r:.80}.", "It must be a dict.")
        return
    for key, value in given.items():
        if key not in NAMES:
            yield _unknown(key)
        elif message := _invalid(key, value):
            yield OptionProblem(key, f"{key} is {value!r}." if key not in SECRETS else f"{key} is invalid.", message)
    if not any(True for key in ("heartbeat_interval", "rescue_after") if key in given and _invalid(key, given[key])):
        yield from _contradictions(given)


def _contradictions(given: Mapping[str, Any]) -> Iterator[OptionProblem]:
    beat = to_seconds(given.get("heartbeat_interval", DEFAULTS.heartbeat_interval))
    rescue = to_seconds(given.get("rescue_after", DEFAULTS.rescue_after))
    if rescue < 3 * beat:
        yield OptionProblem(
            "rescue_after",
            f"rescue_after ({rescue:g} s) is less than three times heartbeat_interval ({beat:g} s).",
            "A worker that misses one beat would be presumed dead: raise the one or lower the other.",
        )


def _unknown(key: str) -> OptionProblem:
    near = difflib.get_close_matches(str(key).lower(), NAMES, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else f"Known options: {', '.join(sorted(NAMES))}."
    return OptionProblem(str(key), f'There is no option "{key}".', hint, unknown=True)


def _invalid(key: str, value: Any) -> str | None:
    """Return what the value must be, or None if it is valid."""
    if key in _SECONDS:
        return _invalid_seconds(value, *_SECONDS[key])
    if key in _COUNTS:
        least, most = _COUNTS[key]
        good = isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
        return None if good else f"It must be a whole number from {least} to {most}."
    if key == "backoff":
        return _invalid_backoff(value)
    fits, message = _RULES[key]
    return None if fits(value) else message


def _invalid_seconds(value: Any, least: float, may_be_none: bool) -> str | None:
    if value is None and may_be_none:
        return None
    if is_seconds(value) and to_seconds(value) >= least:
        return None
    return (
        f"It must be seconds (a number or a timedelta), at least {least:g} and at most a hundred years"
        f"{', or None' if may_be_none else ''}."
    )


def _invalid_backoff(value: object) -> str | None:
    try:
        make_backoff(value)
    except TypeError as error:
        return str(error)
    return None


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_alias(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_token(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) >= SHORTEST_TOKEN and value.isascii())


def _is_level(value: object) -> bool:
    # A project may have added some of its own.
    return value is None or (isinstance(value, str) and value != "NOTSET" and value in logging.getLevelNamesMapping())


def _are_modules(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(name, str) and all(part.isidentifier() for part in name.split(".")) for name in value
    )


def _are_paths(value: Any) -> bool:
    return _are_modules(value) and all("." in path for path in value)


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and isinstance(item, Mapping) for name, item in value.items()
    )


_FLAG, _ALIAS = (_is_flag, "It must be True or False."), (_is_alias, "It must be the alias of a database.")
# For every other option: whether a value is valid, and what it must be.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "store_result": _FLAG,
    "statistics": _FLAG,
    "check_arguments": _FLAG,
    "api_token": (_is_token, f"It must be a text of at least {SHORTEST_TOKEN} ASCII characters, or None."),
    "notifier": (lambda value: value in NOTIFIERS, f"It must be one of {', '.join(NOTIFIERS)}."),
    "redis_cache": _ALIAS,
    "database": (lambda value: value is None or _is_alias(value), _ALIAS[1]),
    "capture_logs": (_is_level, f"It must be one of {', '.join(_LEVELS)}, or None."),
    "schedules": (_is_table, 'It must be {name: {"task": ..., "cron": ...}}.'),
    "modules": (
        _are_modules,
        'It must be a list of names relative to each app, such as ["tasks", "jobs.nightly"].',
    ),
    "middleware": (_are_paths, 'It must be a list of dotted paths, such as ["shop.middleware.RequestId"].'),
}


def _convert(key: str, value: Any) -> Any:
    if key in _SECONDS and value is not None:
        return to_seconds(value)
    if key in ("modules", "middleware"):
        return tuple(value)
    return make_backoff(value) if key == "backoff" else value


def is_seconds(value: Any) -> bool:
    """Return whether a value is a time, not negative and within a hundred years."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    return isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds <= LONGEST


def to_seconds(value: float | timedelta) -> float:
    """Return a time in seconds."""
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
