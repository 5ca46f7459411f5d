"""The only code that writes the definition of a schedule, and whether it runs."""

from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from ..brokers.base import Broker
from ..brokers.values import JobSpec
from ..lifecycle import OccurrenceStatus, ScheduleOrigin
from ..models import Schedule, ScheduleRun
from ..moments import to_aware, to_stored
from .definitions import Definition

__all__ = ["add", "change", "delete", "lock", "prune_runs", "record_manual", "set_paused", "upcoming"]

LONGEST_USERNAME = 150
TIMING = ("kind", "expression", "timezone", "start_at", "end_at", "max_runs", "enabled")


def upcoming(definition: Definition, now: datetime, *, paused: bool, total_runs: int) -> tuple[datetime | None, str]:
    """Return the next occurrence after a time, or None and why there is none."""
    if paused or not definition.enabled:
        return None, ""
    if definition.max_runs is not None and total_runs >= definition.max_runs:
        return None, _("It has run as often as it may.")
    occurrence = definition.following(now)
    return occurrence, "" if occurrence is not None else _("It is over: no slot is left.")


def lock(broker: Broker, *, pk: int | None = None, name: str | None = None) -> Schedule | None:
    """Return a schedule of the backend by its key or its name, locked until the transaction ends."""
    wanted = {"pk": pk} if pk is not None else {"name": name}
    rows = Schedule.objects.using(broker.using).filter(backend=broker.alias, **wanted)
    return rows.select_for_update().first()


def add(broker: Broker, definition: Definition, *, origin: str = ScheduleOrigin.ADMIN, **columns: Any) -> Schedule:
    """Insert a schedule; it first fires at its next occurrence. Raise IntegrityError if its name is taken."""
    now = to_aware(broker.dialect.now())
    occurrence, reason = upcoming(definition, now, paused=bool(columns.get("paused")), total_runs=0)
    values = definition.columns() | _state(now, occurrence, reason) | columns
    return Schedule.objects.using(broker.using).create(origin=origin, **values)


def change(broker: Broker, row: Schedule, definition: Definition, **columns: Any) -> Schedule:
    """Change the definition of a locked schedule. If that does not change when it runs, a due occurrence stays due."""
    before, now = Definition.of_row(row), to_aware(broker.dialect.now())
    occurrence, reason = upcoming(definition, now, paused=row.paused, total_runs=row.total_runs)
    is_same = all(getattr(before, name) == getattr(definition, name) for name in TIMING)
    if row.next_run_at is not None and occurrence and is_same:
        occurrence = to_aware(row.next_run_at)
    return _write(broker, row, definition.columns() | _state(now, occurrence, reason) | columns)


def set_paused(broker: Broker, row: Schedule, paused: bool, by: str = "") -> Schedule:
    """Pause or resume a locked schedule: what it misses while it is paused is not made up for. by: who pauses it."""
    definition, now = Definition.of_row(row), to_aware(broker.dialect.now())
    occurrence, reason = upcoming(definition, now, paused=paused, total_runs=row.total_runs)
    values = {"next_run_at": to_stored(occurrence), "reason": row.reason or reason}
    return _write(broker, row, values | {"paused": paused, "paused_by": by[:LONGEST_USERNAME] if paused else ""})


def delete(broker: Broker, row: Schedule) -> None:
    """Delete a schedule and the record of its runs; its jobs stay."""
    Schedule.objects.using(broker.using).filter(pk=row.pk).delete()


def record_manual(broker: Broker, row: Schedule, spec: JobSpec, now: datetime) -> None:
    """Record that an operator has run a locked schedule at this time."""
    moment = to_stored(now)
    ScheduleRun.objects.using(broker.using).create(
        schedule=row, slot=moment, fired_at=moment, job_id=spec.id, status=OccurrenceStatus.MANUAL
    )
    _write(broker, row, {"last_run_at": moment, "last_job_id": spec.id})


def prune_runs(broker: Broker, older_than: float, *, limit: int = 1_000) -> int:
    """Delete up to `limit` records of what was fired more than `older_than` seconds ago; return how many."""
    runs = ScheduleRun.objects.using(broker.using)
    cutoff = to_stored(broker.dialect.utc_now() - timedelta(seconds=older_than))
    old = runs.filter(fired_at__lt=cutoff, schedule__backend=broker.alias).order_by("fired_at")
    deleted, _kinds = runs.filter(pk__in=list(old.values_list("pk", flat=True)[:limit])).delete()
    return deleted


def _state(now: datetime, occurrence: datetime | None, reason: str) -> dict[str, object]:
    return {"next_run_at": to_stored(occurrence), "reason": reason, "updated_at": to_stored(now)}


def _write(broker: Broker, row: Schedule, values: dict[str, object]) -> Schedule:
    Schedule.objects.using(broker.using).filter(pk=row.pk).update(**values)
    for name, value in values.items():
        setattr(row, name, value)
    return row
