"""Schedules in code and in the settings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from django.utils.translation import gettext as _

from ..compat import BaseTask, task_backends
from ..conf import to_seconds
from ..exceptions import InvalidSchedule
from ..lifecycle import CatchUp, Overlap, ScheduleOrigin
from ..moments import to_aware
from .definitions import Definition
from .task_info import info_of
from .timings import Timing, cron, every, once, solar
from .validation import check_call, validate

__all__ = ["Declaration", "find_declarations", "periodic", "read_setting"]

T = TypeVar("T", bound=BaseTask)
# By backend and name. A module that is imported again declares its schedules again.
_declared: dict[tuple[str, str], Definition] = {}
TIMES = ("jitter", "expires_after", "catch_up_window")
KEYS = frozenset(
    {"task", "cron", "every", "once", "solar", "timezone", *Definition.__dataclass_fields__}
    - {"backend", "name", "task_path", "kind", "expression"}
)


class Declaration(NamedTuple):
    """A schedule and where it was declared."""

    origin: ScheduleOrigin
    definition: Definition


def periodic(
    timing: Timing,
    *,
    name: str | None = None,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
    queue_name: str = "",
    priority: int | None = None,
    options: Mapping[str, object] | None = None,
    start_at: datetime | None = None,
    end_at: datetime | None = None,
    max_runs: int | None = None,
    jitter: float | timedelta = 0,
    expires_after: float | timedelta | None = None,
    catch_up: str = CatchUp.LATEST,
    catch_up_window: float | timedelta | None = None,
    overlap: str = Overlap.ALLOW,
    enabled: bool = True,
    description: str = "",
) -> Callable[[T], T]:
    """Run a task on a schedule. Goes above @task, several times if needed, under different names.

    name: the task's dotted path by default. Times are whole seconds or timedeltas. Raise InvalidSchedule for a
    schedule that could never run.
    """
    return _declarer(timing, {key: value for key, value in locals().items() if key != "timing"})


def _declarer(timing: Timing, given: dict[str, Any]) -> Callable[[T], T]:
    """Return the decorator that declares a schedule of a task. given: what periodic() takes beside the timing."""

    def decorate(task: T) -> T:
        if not isinstance(task, BaseTask):
            raise InvalidSchedule(_("@periodic stands over @task: %(given)r is not a task.") % {"given": task})
        named = {**given, "name": given["name"] or task.module_path}
        definition = _define(timing, task.module_path, task.backend, **named)
        # The rest has to wait until the settings are available, and the module has been imported.
        check_call(definition, info_of(task))
        _declare(definition)
        return task

    return decorate


def find_declarations(alias: str) -> tuple[list[Declaration], list[InvalidSchedule]]:
    """Return what the imported code and the settings declare for a backend, and what is wrong with it."""
    found: list[Declaration] = []
    problems: list[InvalidSchedule] = []
    for origin, define in _definers(alias):
        try:
            definition = define()
            validate(definition)
        except InvalidSchedule as error:
            problems.append(error)
        else:
            found.append(Declaration(origin, definition))
    return found, problems


def _definers(alias: str) -> Iterator[tuple[ScheduleOrigin, Callable[[], Definition]]]:
    for (backend, _name), definition in list(_declared.items()):
        if backend == alias:
            yield ScheduleOrigin.CODE, partial(_given, definition)
    for name, given in task_backends[alias].config.schedules.items():
        yield ScheduleOrigin.SETTINGS, partial(read_setting, alias, name, given)


def _given(definition: Definition) -> Definition:
    return definition


def read_setting(alias: str, name: str, given: Mapping[str, Any]) -> Definition:
    """Return the schedule in one entry of OPTIONS["schedules"]. Raise InvalidSchedule."""
    if unknown := sorted(set(given) - KEYS):
        message = _("A schedule has no “%(key)s”, only %(known)s.")
        raise InvalidSchedule(message % {"key": unknown[0], "known": ", ".join(sorted(KEYS))}, unknown[0])
    if not isinstance(given.get("task"), str):
        raise InvalidSchedule(_("“task” must be the dotted path of a task."), "task_path")
    fields = {key: value for key, value in given.items() if key in Definition.__dataclass_fields__}
    fields.pop("timezone", None)
    if (alias, name) in _declared:
        raise InvalidSchedule(_("The schedule “%(name)s” is defined in the code already.") % {"name": name}, "name")
    return _define(_timing(given), given["task"], alias, name=name, **fields)


def _timing(given: Mapping[str, Any]) -> Timing:
    tz = given.get("timezone")
    makers: dict[str, Callable[[Any], Timing]] = {
        "cron": lambda value: cron(value, tz=tz),
        "every": lambda value: every(seconds=to_seconds(value), tz=tz),
        "once": lambda value: once(value, tz=tz),
        "solar": lambda value: solar(**value, tz=tz),
    }
    named = [key for key in makers if key in given]
    if len(named) != 1:
        raise InvalidSchedule(_("Give one of %(known)s.") % {"known": ", ".join(makers)}, "kind")
    try:
        return makers[named[0]](given[named[0]])
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidSchedule):
            raise
        raise InvalidSchedule(f"{named[0]}: {error}", "expression") from None


def _define(timing: Any, task_path: str, backend: str, **given: Any) -> Definition:
    if not isinstance(timing, Timing):
        message = _("A schedule begins with cron(), every(), once() or solar(), not with %(given)r.")
        raise InvalidSchedule(message % {"given": timing}, "kind")
    timing, values = timing.settled(), dict(given)
    values["args"], values["kwargs"] = list(values.get("args") or ()), dict(values.get("kwargs") or {})
    values["options"] = dict(values.get("options") or {})
    for key in TIMES:
        if isinstance(values.get(key), float | timedelta):
            values[key] = round(to_seconds(values[key]))
    for key in ("start_at", "end_at"):
        if isinstance(values.get(key), datetime):
            values[key] = to_aware(values[key])
    for key in ("catch_up", "overlap"):
        if key in values:
            values[key] = str(values[key])
    return Definition(
        **values,
        backend=backend,
        task_path=task_path,
        kind=timing.kind.value,
        expression=timing.expression,
        timezone=timing.timezone,
    )


def _declare(definition: Definition) -> None:
    key = definition.backend, definition.name
    known = _declared.get(key)
    if known is not None and known.task_path != definition.task_path:
        message = _("The schedule “%(name)s” of %(task)s has the name of one of %(other)s.")
        facts = {"name": definition.name, "task": definition.task_path, "other": known.task_path}
        raise InvalidSchedule(message % facts, "name")
    _declared[key] = definition
