"""django-q2: Schedule."""

import ast
from datetime import datetime
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from ...schedules.definitions import Definition
from ...schedules.timings import Timing, cron, every, once
from .base import Foreign, Inexpressible, Row, moment_of, read_table

__all__ = ["read_django_q2"]

# Months between the runs of each kind.
MONTHS = {"M": 1, "BM": 2, "Q": 3, "Y": 12}
LAST_DAY_OF_ALL_MONTHS = 28


def read_django_q2(connection: BaseDatabaseWrapper) -> list[Foreign]:
    """Return the schedules of django-q2."""
    rows = list(read_table(connection, "django_q_schedule"))
    return [Foreign(row["name"] or f"django-q2 {row['id']}", partial(_define, row), _notes(row)) for row in rows]


def _define(row: Row) -> Definition:
    next_run = moment_of(row["next_run"])
    if next_run is None:
        raise Inexpressible("It has no next run.")
    timing = _timing(row, next_run)
    repeats = int(row["repeats"])
    return Definition(
        name=row["name"] or f"django-q2 {row['id']}",
        task_path=row["func"],
        args=_args(row["args"]),
        kwargs=_kwargs(row["kwargs"]),
        kind=timing.kind.value,
        expression=timing.expression,
        timezone=timing.timezone,
        start_at=next_run if timing.kind == "interval" else None,
        max_runs=repeats if repeats > 0 else None,
        enabled=repeats != 0,
    )


def _timing(row: Row, next_run: datetime) -> Timing:
    zone = timezone.get_default_timezone_name()
    local, kind = next_run.astimezone(timezone.get_default_timezone()), row["schedule_type"]
    intervals = {"I": {"minutes": row["minutes"] or 1}, "H": {"hours": 1}, "BW": {"weeks": 2}}
    if kind in intervals:
        return every(**intervals[kind], tz=zone)
    if kind == "O":
        return once(next_run, tz=zone)
    if kind == "C":
        return cron(row["cron"] or "", tz=zone)
    time = f"{local.minute} {local.hour}"
    if kind == "D":
        return cron(f"{time} * * *", tz=zone)
    if kind == "W":
        return cron(f"{time} * * {local.isoweekday() % 7}", tz=zone)
    if kind in MONTHS:
        return cron(f"{time} {_day(local)} {_months(local, MONTHS[kind])} *", tz=zone)
    raise Inexpressible(f"There is no kind of schedule like its {kind!r}.")


def _day(local: datetime) -> int:
    if local.day > LAST_DAY_OF_ALL_MONTHS:
        raise Inexpressible(f"It runs on the {local.day}th, which some months do not have.")
    return local.day


def _months(local: datetime, step: int) -> str:
    return "*" if step == 1 else ",".join(str(month) for month in sorted(range(local.month % step or step, 13, step)))


def _args(text: str | None) -> list[object]:
    found = _literal(text or "()")
    return list(found) if isinstance(found, tuple | list) else [found]


def _kwargs(text: str | None) -> dict[str, object]:
    if not text or text.strip().startswith("{"):
        return dict(_literal(text or "{}"))
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except SyntaxError:
        call = None
    if not isinstance(call, ast.Call) or call.args or not all(item.arg for item in call.keywords):
        raise Inexpressible(f"Its keyword arguments are {text!r}, which are none.")
    return {str(item.arg): _literal(ast.unparse(item.value)) for item in call.keywords}


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise Inexpressible(f"Its arguments are {text!r}, which are no literals.") from None


def _notes(row: Row) -> tuple[str, ...]:
    lost = {name: row.get(name) for name in ("hook", "cluster", "intended_date_kwarg")}
    return tuple(f"Not taken over: its {name} ({value})." for name, value in lost.items() if value)
