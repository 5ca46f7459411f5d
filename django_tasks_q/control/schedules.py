"""The operator's verbs for schedules. A change takes effect within a second: sleeping workers are woken."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError
from django.utils.translation import gettext as _

from ..brokers import get_broker
from ..brokers.base import Broker
from ..exceptions import InvalidSchedule, ScheduleNotFound
from ..lifecycle import ScheduleOrigin
from ..models import Schedule
from ..notifiers import notify
from ..schedules import store
from ..schedules.definitions import Definition
from ..schedules.jobs import make_spec
from ..schedules.moments import to_aware
from ..schedules.shapes import describe_task
from ..schedules.timings import Timing
from ..schedules.validation import check_call, validate

__all__ = ["create", "delete", "pause", "resume", "run_now", "save", "update"]

BY_NAME = ("kind", "expression", "timezone")


def create(name: str, timing: Timing, task: str, *, backend: str = "default", **fields: Any) -> Schedule:
    """Make a schedule of an operator: create("reports", every(hours=1), "shop.tasks.report").

    fields: of `schedules.definitions.Definition`. Raise InvalidSchedule for what cannot run, or where the name is
    taken.
    """
    values = {field: getattr(timing, field) for field in BY_NAME}
    definition = Definition(**{**fields, **values, "name": name, "task_path": task, "backend": backend})
    return save(Schedule(**definition.columns(), origin=ScheduleOrigin.ADMIN))


def update(name: str, *, backend: str = "default", timing: Timing | None = None, **fields: Any) -> Schedule:
    """Change a schedule of an operator. Raise ScheduleNotFound, or InvalidSchedule: also for one of the code."""
    broker = get_broker(backend)
    row = Schedule.objects.using(broker.using).filter(backend=backend, name=name).first()
    if row is None:
        raise _missing(name)
    if timing is not None:
        fields |= {field: getattr(timing, field) for field in BY_NAME}
    if unknown := sorted(set(fields) - set(Definition.__dataclass_fields__)):
        raise TypeError(f"A schedule has no field {unknown[0]!r}.")
    for field, value in fields.items():
        setattr(row, field, value)
    return save(row)


def save(row: Schedule) -> Schedule:
    """Store what a form has made of a schedule, a new one or a changed one, and set when it runs next.

    Only its definition is taken from the row. Raise InvalidSchedule, as `update` does.
    """
    definition = Definition.of_row(row)
    validate(definition)
    broker = get_broker(definition.backend)
    try:
        with broker.transaction():
            stored = _store(broker, row, definition)
            notify(broker.alias, broker.using)
    except IntegrityError:
        message = _("There is a schedule “%(name)s” already.")
        raise InvalidSchedule(message % {"name": definition.name}, "name") from None
    return stored


def _store(broker: Broker, row: Schedule, definition: Definition) -> Schedule:
    if row._state.adding:
        return store.add(broker, definition)
    held = store.lock(broker, pk=row.pk)
    if held is None:
        raise _missing(definition.name)
    _refuse_declared(held)
    return store.change(broker, held, definition)


def delete(name: str, *, backend: str = "default") -> None:
    """Delete a schedule of an operator; its jobs stay. Raise as `update` does."""
    with _locked(name, backend) as (broker, row):
        _refuse_declared(row)
        store.delete(broker, row)


def pause(name: str, *, backend: str = "default", by: str = "") -> bool:
    """Let a schedule make no jobs until it is resumed; say whether it ran before. No synchronisation resumes it.

    by: who pauses it, for others to see. Raise ScheduleNotFound.
    """
    with _locked(name, backend) as (broker, row):
        return _switch(broker, row, paused=True, by=by)


def resume(name: str, *, backend: str = "default") -> bool:
    """Let a schedule run again, from its next slot on; say whether it was paused. Raise ScheduleNotFound."""
    with _locked(name, backend) as (broker, row):
        return _switch(broker, row, paused=False)


def run_now(name: str, *, backend: str = "default") -> uuid.UUID:
    """Enqueue a schedule's job at once, beside its slots, paused or not, and return its id.

    Raise ScheduleNotFound, or InvalidSchedule where the task is unknown or the arguments do not fit it.
    """
    with _locked(name, backend) as (broker, row):
        definition = Definition.of_row(row)
        shape = check_call(definition, describe_task(row.task_path))
        now = to_aware(broker.now())
        spec = make_spec(broker, row, definition, now, now, shape)
        broker.enqueue([spec._replace(run_after=None)])
        store.record_manual(broker, row, spec, now)
    return uuid.UUID(spec.id)


@contextmanager
def _locked(name: str, backend: str) -> Iterator[tuple[Broker, Schedule]]:
    broker = get_broker(backend)
    with broker.transaction():
        row = store.lock(broker, name=name)
        if row is None:
            raise _missing(name)
        yield broker, row
        notify(backend, broker.using)


def _switch(broker: Broker, row: Schedule, *, paused: bool, by: str = "") -> bool:
    if row.paused == paused:
        return False
    store.set_paused(broker, row, paused, by)
    return True


def _missing(name: str) -> ScheduleNotFound:
    return ScheduleNotFound(_("There is no schedule “%(name)s”.") % {"name": name})


def _refuse_declared(row: Schedule) -> None:
    if row.origin != ScheduleOrigin.ADMIN:
        message = _("The schedule “%(name)s” is defined in the %(origin)s: change it there, or pause it.")
        raise InvalidSchedule(message % {"name": row.name, "origin": row.origin})
