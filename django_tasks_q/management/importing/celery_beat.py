"""django-celery-beat: PeriodicTask, and one of four schedules for each."""

import json
from datetime import UTC
from functools import partial

from django.db.backends.base.base import BaseDatabaseWrapper

from ...schedules.definitions import Definition
from ...schedules.timings import Timing, cron, every, once, solar
from .base import Foreign, Inexpressible, Row, moment_of, read_table

__all__ = ["read_celery_beat"]

TABLE = "django_celery_beat_{}"
EVENTS = {
    "dawn_civil": "dawn", "sunrise": "sunrise", "solar_noon": "noon", "sunset": "sunset", "dusk_civil": "dusk",
}  # fmt: skip
LOST = ("exchange", "routing_key", "priority")
Rows = dict[object, Row]


def read_celery_beat(connection: BaseDatabaseWrapper) -> list[Foreign]:
    """Return the periodic tasks of django-celery-beat."""
    tables = {
        kind: {row["id"]: row for row in read_table(connection, TABLE.format(f"{kind}schedule"))}
        for kind in ("crontab", "interval", "clocked", "solar")
    }
    tasks = list(read_table(connection, TABLE.format("periodictask")))
    return [Foreign(row["name"], partial(_define, row, tables), _notes(row)) for row in tasks]


def _define(row: Row, tables: dict[str, Rows]) -> Definition:
    timing = _timing(row, tables)
    return Definition(
        name=row["name"],
        description=row["description"] or "",
        task_path=row["task"],
        args=json.loads(row["args"] or "[]"),
        kwargs=json.loads(row["kwargs"] or "{}"),
        queue_name=row["queue"] or "",
        kind=timing.kind.value,
        expression=timing.expression,
        timezone=timing.timezone,
        start_at=moment_of(row["start_time"]),
        end_at=moment_of(row["expires"]),
        max_runs=1 if row["one_off"] else None,
        expires_after=row["expire_seconds"] or None,
        enabled=bool(row["enabled"]),
    )


def _timing(row: Row, tables: dict[str, Rows]) -> Timing:
    makers = {"crontab": _crontab, "interval": _interval, "clocked": _clocked, "solar": _solar}
    for kind, make in makers.items():
        if row[f"{kind}_id"] is not None:
            return make(tables[kind][row[f"{kind}_id"]])
    raise Inexpressible("It has no schedule.")


def _crontab(row: Row) -> Timing:
    date, day = row["day_of_month"].strip(), row["day_of_week"].strip()
    if not date.startswith("*") and not day.startswith("*"):
        raise Inexpressible(
            f"It is for days of the month ({date}) that are days of the week ({day}) as well; in a cron expression "
            "either of them will do."
        )
    fields = (row["minute"], row["hour"], date, row["month_of_year"], day)
    return cron(" ".join("".join(field.split()) for field in fields), tz=str(row["timezone"]))


def _interval(row: Row) -> Timing:
    if row["period"] == "microseconds":
        return every(seconds=row["every"] / 1_000_000, tz="UTC")
    return every(**{row["period"]: row["every"]}, tz="UTC")


def _clocked(row: Row) -> Timing:
    moment = moment_of(row["clocked_time"])
    if moment is None:
        raise Inexpressible("It has no moment.")
    return once(moment.astimezone(UTC), tz="UTC")


def _solar(row: Row) -> Timing:
    if row["event"] not in EVENTS:
        raise Inexpressible(f"There is no event {row['event']} here, only {', '.join(EVENTS)}.")
    place = {"latitude": float(row["latitude"]), "longitude": float(row["longitude"])}
    return solar(EVENTS[row["event"]], **place, tz="UTC")


def _notes(row: Row) -> tuple[str, ...]:
    lost = [name for name in LOST if row[name] not in (None, "")]
    if row["headers"] not in (None, "", "{}"):
        lost.append("headers")
    return tuple(f"Not taken over: its {name} ({row[name]})." for name in lost)
