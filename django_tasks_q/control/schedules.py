"""The operator's actions for schedules. A change takes effect within a second: sleeping workers are woken."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError
from django.utils.translation import gettext as _

from ..brokers import get_broker
from ..brokers.base import Broker
from ..brokers.values import JobSpec
from ..exceptions import InvalidSchedule, ScheduleNotFound
from ..lifecycle import ScheduleOrigin
from ..models import Schedule
from ..moments import to_aware
from ..notifiers import notify
from ..schedules import store
from ..schedules.definitions import Definition
from ..schedules.specs import make_spec
from ..schedules.task_info import describe_task
from ..schedules.timings import Timing
from ..schedules.validation import check_call, validate

__all__ = ["create", "delete", "pause", "resume", "run_now", "save", "update"]


def create(name: str, timing: Timing, task: str, *, backend: str = "default", **fields: Any) -> Schedule:
    """Create an operator's schedule: create("reports", every(hours=1), "shop.tasks.report").

    fields: of `schedules.definitions.Definition`. Raise InvalidSchedule for a schedule that cannot run, or if the name
    is taken.
    """
    values = _stored(timing)
    definition = Definition(**{**fields, **values, "name": name, "task_path": task, "backend": backend})
    return save(Schedule(**definition.columns(), origin=ScheduleOrigin.ADMIN))


def update(name: str, *, backend: str = "default", timing: Timing | None = None, **fields: Any) -> Schedule:
    """Change an operator's schedule. Raise ScheduleNotFound, or InvalidSchedule: also for one defined in code."""
    broker = get_broker(backend)
    row = Schedule.objects.using(broker.using).filter(backend=backend, name=name).first()
    if row is None:
        raise _missing(name)
    if timing is not None:
        fields |= _stored(timing)
    if unknown := sorted(set(fields) - set(Definition.__dataclass_fields__)):
        raise TypeError(f"A schedule has no field {unknown[0]!r}.")
    for field, value in fields.items():
        setattr(row, field, value)
    return save(row)


def _stored(timing: Timing) -> dict[str, Any]:
    settled = timing.settled()
    return {"kind": settled.kind.value, "expression": settled.expression, "timezone": settled.timezone}


def save(row: Schedule) -> Schedule:
    """Store a schedule from a form, new or changed, and set when it runs next.

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
        message = _("The schedule “%(name)s” already exists.")
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
    """Delete an operator's schedule; its jobs stay. Raise as `update` does."""
    with _locked(name, backend) as (broker, row):
        _refuse_declared(row)
        store.delete(broker, row)


def pause(name: str, *, backend: str = "default", by: str = "") -> bool:
    """Keep a schedule from enqueueing jobs until it is resumed; return whether it was not paused before.

    by: who pauses it, for others to see. No synchronisation resumes it. Raise ScheduleNotFound.
    """
    with _locked(name, backend) as (broker, row):
        return _switch(broker, row, paused=True, by=by)


def resume(name: str, *, backend: str = "default") -> bool:
    """Let a schedule run again, from its next occurrence on; return whether it was paused. Raise ScheduleNotFound."""
    with _locked(name, backend) as (broker, row):
        return _switch(broker, row, paused=False)


def run_now(name: str, *, backend: str = "default") -> uuid.UUID:
    """Enqueue a schedule's job at once, in addition to its occurrences, even if it is paused; return the job's id.

    Raise ScheduleNotFound, or InvalidSchedule if the task is unknown or does not accept the arguments.
    """
    with _locked(name, backend) as (broker, row):
        return uuid.UUID(enqueue_now(broker, row).id)


def enqueue_now(broker: Broker, row: Schedule) -> JobSpec:
    """Enqueue the job of a locked schedule, as part of the caller's transaction; raise as run_now() does."""
    definition = Definition.of_row(row)
    info = check_call(definition, describe_task(row.task_path))
    now = to_aware(broker.dialect.now())
    spec = make_spec(broker, row, definition, now, now, info)._replace(run_after=None)
    broker.enqueue([spec])
    store.record_manual(broker, row, spec, now)
    return spec


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
