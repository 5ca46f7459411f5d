"""What is wrong with a schedule: the same words in a form, in code, and on the command line."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..backend import TasksQBackend, backend_aliases
from ..compat import task_backends
from ..exceptions import CorruptJob, InvalidSchedule, UnserializableError
from ..lifecycle import CatchUp, Overlap
from ..payloads import dump_arguments, dump_value
from ..task_options import HIGHEST_PRIORITY, LONGEST_QUEUE_NAME, LOWEST_PRIORITY, load_options
from .definitions import Definition
from .task_info import TaskInfo, describe_task

if TYPE_CHECKING:
    from ..models import Schedule

__all__ = ["LONGEST_NAME", "check_call", "find_problem", "validate"]

LONGEST_NAME, LONGEST_EXPRESSION = 200, 255
PRIORITIES = range(LOWEST_PRIORITY, HIGHEST_PRIORITY + 1)
MOST = 2**31 - 1


def find_problem(row: "Schedule") -> InvalidSchedule | None:
    """Return what is wrong with the definition in a row, or None."""
    try:
        validate(Definition.of_row(row))
    except InvalidSchedule as error:
        return error
    return None


def validate(definition: Definition) -> None:
    """Raise InvalidSchedule, which names the field, for the first thing that is wrong with a schedule."""
    _check_text(definition)
    backend = _backend(definition)
    _check_policies(definition)
    definition.timing  # noqa: B018
    if definition.start_at and definition.end_at and definition.start_at >= definition.end_at:
        raise InvalidSchedule(_("It must start before it ends."), "end_at")
    _check_types(definition)
    check_call(definition, describe_task(definition.task_path))
    _check_payload(definition, backend)


def check_call(definition: Definition, info: TaskInfo | str) -> TaskInfo:
    """Return what is known about the task. Raise InvalidSchedule if there is none, or it does not take the arguments.

    info: that, or why there is no task.
    """
    if not isinstance(info, TaskInfo):
        raise InvalidSchedule(info, "task_path")
    if info.backend != definition.backend:
        message = _("The task %(task)s belongs to the backend “%(its)s”, not to “%(given)s”.")
        facts = {"task": definition.task_path, "its": info.backend, "given": definition.backend}
        raise InvalidSchedule(message % facts, "backend")
    if refusal := info.refusal(definition.args, definition.kwargs):
        message = _("The arguments do not fit %(task)s: %(refusal)s.")
        raise InvalidSchedule(message % {"task": definition.task_path, "refusal": refusal}, "args")
    return info


def _check_text(definition: Definition) -> None:
    for name, longest in (("name", LONGEST_NAME), ("expression", LONGEST_EXPRESSION)):
        text: Any = getattr(definition, name)
        if not isinstance(text, str) or not text.strip() or len(text) > longest or "\0" in text:
            message = _("The %(field)s must have 1 to %(longest)s characters and no NUL.")
            raise InvalidSchedule(message % {"field": name, "longest": longest}, name)
    if len(definition.queue_name) > LONGEST_QUEUE_NAME:
        message = _("The queue name must have at most %(longest)s characters.")
        raise InvalidSchedule(message % {"longest": LONGEST_QUEUE_NAME}, "queue_name")


def _backend(definition: Definition) -> TasksQBackend:
    backend = task_backends[definition.backend] if definition.backend in backend_aliases() else None
    try:
        usable = backend is not None and backend.config is not None
    except ImproperlyConfigured:
        usable = False
    if not usable or not isinstance(backend, TasksQBackend):
        message = _("“%(alias)s” in TASKS is no backend that keeps schedules.")
        raise InvalidSchedule(message % {"alias": definition.backend}, "backend")
    if definition.queue_name and (refusal := backend.refusal_of_queue(definition.queue_name)):
        raise InvalidSchedule(refusal, "queue_name")
    return backend


def _check_policies(definition: Definition) -> None:
    _check_choice("catch_up", definition.catch_up, CatchUp)
    _check_choice("overlap", definition.overlap, Overlap)
    _check_number("jitter", definition.jitter, 0, may_be_none=False)
    for name, least in (("max_runs", 1), ("expires_after", 1), ("catch_up_window", 1)):
        _check_number(name, getattr(definition, name), least)
    priority = definition.priority
    if priority is not None and (isinstance(priority, bool) or priority not in PRIORITIES):
        raise InvalidSchedule(_("The priority must be a whole number from -100 to 100."), "priority")


def _check_choice(name: str, value: str, choices: Any) -> None:
    if value not in choices.values:
        message = _("The policy %(name)s must be one of %(known)s, not “%(given)s”.")
        raise InvalidSchedule(message % {"name": name, "known": ", ".join(choices.values), "given": value}, name)


def _check_number(name: str, value: object, least: int, *, may_be_none: bool = True) -> None:
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST:
        message = _("%(name)s must be a whole number from %(least)s on, not %(given)r.")
        raise InvalidSchedule(message % {"name": name, "least": least, "given": value}, name)


def _check_types(definition: Definition) -> None:
    for name, kind in (("args", list), ("kwargs", Mapping), ("options", Mapping)):
        if not isinstance(getattr(definition, name), kind):
            message = _("%(name)s must be a JSON %(kind)s.")
            raise InvalidSchedule(message % {"name": name, "kind": "list" if kind is list else "object"}, name)


def _check_payload(definition: Definition, backend: TasksQBackend) -> None:
    limit = backend.config.max_payload
    try:
        dump_arguments(definition.args, definition.kwargs, limit)
    except UnserializableError as error:
        raise InvalidSchedule(str(error), "args") from None
    try:
        dump_value(definition.options, "options", limit)
        load_options(definition.options)
    except (UnserializableError, CorruptJob) as error:
        raise InvalidSchedule(str(error), "options") from None
