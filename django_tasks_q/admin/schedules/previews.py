"""Previews of a schedule before it is saved."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from django.utils.dateformat import format as format_date
from django.utils.timezone import get_current_timezone

from ...exceptions import InvalidSchedule
from ...models import Schedule
from ...monitoring.schedules import next_runs
from ...schedules.definitions import Definition
from ...schedules.expressions import read_zone
from ...schedules.humanize import describe
from ...schedules.validation import validate
from ..display import moment
from .form import ScheduleForm

__all__ = ["Preview", "Slot", "clock", "preview_form", "preview_row", "viewer_zone"]

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Slot:
    """One of the next runs: in the schedule's own time zone, in the user's, and how far ahead."""

    own: str
    viewers: str
    distance: str


@dataclass(frozen=True, slots=True)
class Preview:
    """A schedule as text, what is wrong with it, and when it runs next."""

    words: str = ""
    problems: list[str] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    own_zone: str = ""
    viewers_zone: str = ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the user's time zone shows other times than the schedule's."""
        return any(slot.own.rpartition(" ")[0] != slot.viewers.rpartition(" ")[0] for slot in self.slots)


def viewer_zone(name: str = "") -> tzinfo:
    """Return the browser's time zone; Django's current one if the browser sends none that is valid."""
    try:
        return read_zone(name) if name else get_current_timezone()
    except InvalidSchedule:
        return get_current_timezone()


def preview_form(form: ScheduleForm, zone: tzinfo) -> Preview | None:
    """Return a preview of the schedule in a form; None if the form does not say when it runs."""
    problems = list(_problems(form)) if form.is_bound else []
    definition = Definition.of_row(form.instance)
    if not definition.expression:
        return Preview(problems=problems) if problems else None
    # It may come last.
    definition = replace(definition, name=definition.name or "-")
    if not problems and definition.task_path:
        try:
            validate(definition)
        except InvalidSchedule as error:
            problems.append(str(error))
    return _preview(definition, zone, problems, form.instance.total_runs)


def preview_row(row: Schedule, zone: tzinfo) -> Preview:
    """Return a preview of a schedule, as if nothing stopped it."""
    return _preview(Definition.of_row(row), zone, [], row.total_runs)


def _preview(definition: Definition, zone: tzinfo, problems: list[str], total_runs: int) -> Preview:
    count = SHOWN if definition.max_runs is None else min(SHOWN, max(0, definition.max_runs - total_runs))
    try:
        words, slots = describe(definition.timing), next_runs(definition, count)
    except InvalidSchedule as error:
        return Preview(problems=list(dict.fromkeys([str(error), *problems])))
    precise = any(slot.second for slot in slots)
    shown = [Slot(clock(slot, precise), clock(slot.astimezone(zone), precise), moment(slot)) for slot in slots]
    return Preview(words, problems, shown, definition.timezone, str(zone))


def _problems(form: ScheduleForm) -> Iterator[str]:
    """Yield what is wrong with the values entered; fields still empty are not wrong."""
    for name, errors in form.errors.as_data().items():
        for error in errors:
            # Messages of the validator have no code; those of a field that cannot be parsed have one.
            missing = not form.data.get("name") if name == "name" else not (form.instance.expression or error.code)
            if error.code != "required" and not missing:
                yield from error.messages


def clock(value: datetime, precise: bool = True) -> str:
    """Return a datetime in its own time zone: Mon 2026-11-23 03:00 CET."""
    return str(format_date(value, "D Y-m-d H:i:s T" if precise else "D Y-m-d H:i T"))
