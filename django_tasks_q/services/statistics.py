"""What happened, counted by the minute: the only code that writes the table of statistics."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import frexp
from typing import Any

from django.conf import settings
from django.utils import timezone

from ..brokers.values import ClaimedJob, Outcome
from ..lifecycle import ResultStatus
from ..models.statistics import BUCKETS, HOUR, KEY, MINUTE, SUMS, Statistics
from .base import Service
from .registry import Registry

__all__ = ["Condenser", "Gatherer"]

TABLE = Statistics._meta.db_table
KEEP_MINUTES = timedelta(days=1)
# Rows in one statement.
BATCH = 100
# A list that is counted up by an exponent of two, negative ones from its end, must hold them all.
EXPONENTS = 96
LOWEST, HIGHEST = -10, BUCKETS - 11
COLUMNS = {
    str(ResultStatus.SUCCESSFUL): "successful",
    str(ResultStatus.FAILED): "failed",
    str(ResultStatus.CANCELLED): "cancelled",
}


def _exponents() -> list[int]:
    return [0] * EXPONENTS


@dataclass(slots=True)
class Tally:
    """The jobs of a task that ended in one way. runs, waits: their number by the exponent of two of their seconds.

    never_ran: how many ended without a run, as those that were cancelled before it.
    """

    run_seconds: float = 0.0
    wait_seconds: float = 0.0
    runs: list[int] = field(default_factory=_exponents)
    waits: list[int] = field(default_factory=_exponents)
    lost: int = 0
    never_ran: int = 0


class Gatherer(Service):
    """Counts what the supervisor records, and adds it to the table every ten seconds.

    Several workers add to the same rows. What a killed worker had gathered is not counted: ten seconds at most.
    """

    interval = 10.0

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.broker = registry.broker
        self.registry = registry
        self.is_on = self.broker.options.statistics
        self._tallies: dict[tuple[str, str, str], Tally] = {}
        self._since = time.monotonic()
        self._is_naive = not settings.USE_TZ

    def note(self, job: ClaimedJob, outcome: Outcome) -> None:
        """Count the end of a run, or of a job that is not to run any more, in about a microsecond."""
        if not self.is_on or not (outcome.charged or outcome.is_final):
            return
        key = (job.queue_name, job.task_path, outcome.status)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        if not outcome.charged:
            tally.never_ran += 1
            return
        started = outcome.started_at
        # A microsecond more, because nought has no exponent.
        seconds = (outcome.finished_at - started).total_seconds() + 1e-6
        tally.run_seconds += seconds
        tally.runs[frexp(seconds)[1]] += 1
        if outcome.lost:
            tally.lost += 1
        if job.attempt == 1:
            if self._is_naive:
                started = timezone.make_naive(started)
            seconds = (started - (job.run_after or job.enqueued_at)).total_seconds()
            # The clocks of two hosts differ: it may seem to have started before.
            if seconds <= 0.0:
                seconds = 1e-6
            tally.wait_seconds += seconds
            tally.waits[frexp(seconds)[1]] += 1

    def run(self) -> None:
        """Add what has been gathered; keep it where the database does not take it."""
        if self._tallies:
            # All of it to the minute of most of it.
            middle = (time.monotonic() - self._since) / 2
            minute = (self.registry.database_now() - timedelta(seconds=middle)).replace(second=0, microsecond=0)
            rows = _rows(self._tallies)
            with self.broker.transaction(durable=False):
                for start in range(0, len(rows), BATCH):
                    self._add(minute, rows[start : start + BATCH])
            self._tallies = {}
        self._since = time.monotonic()

    def _add(self, minute: datetime, rows: Sequence[tuple[str, str, list[Any]]]) -> None:
        at = Statistics._meta.get_field("at").get_db_prep_save(minute, self.broker.connection)
        values = [value for queue, task, sums in rows for value in (self.broker.alias, MINUTE, at, queue, task, *sums)]
        row = f"({', '.join(['%s'] * (len(KEY) + len(SUMS)))})"
        with self.broker.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {TABLE} ({', '.join((*KEY, *SUMS))}) VALUES {', '.join([row] * len(rows))}"
                f" {self.broker.adding_up(TABLE, KEY, SUMS)}",
                values,
            )


def _rows(tallies: dict[tuple[str, str, str], Tally]) -> list[tuple[str, str, list[Any]]]:
    """Return the sums of each queue and task: in the order of the key, in which all workers lock the rows."""
    sums: dict[tuple[str, str], dict[str, Any]] = {}
    for (queue, task, status), tally in tallies.items():
        row = sums.setdefault((queue, task), dict.fromkeys(SUMS, 0))
        row[COLUMNS.get(status, "retried")] += sum(tally.runs) + tally.never_ran
        row["lost"] += tally.lost
        row["run_seconds"] += tally.run_seconds
        row["wait_seconds"] += tally.wait_seconds
        for prefix, numbers in (("run", tally.runs), ("wait", tally.waits)):
            for index, number in enumerate(numbers):
                if number:
                    row[f"{prefix}_{_bucket(index)}"] += number
    return [(queue, task, list(row.values())) for (queue, task), row in sorted(sums.items())]


def _bucket(index: int) -> int:
    exponent = index if index < EXPONENTS // 2 else index - EXPONENTS
    return min(max(exponent, LOWEST), HIGHEST) - LOWEST


class Condenser(Service):
    """Adds minutes of more than a day ago to their hour, one minute at a time, and deletes hours that are too old."""

    interval = 60.0
    soon = 0.1

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.broker = registry.broker
        self.registry = registry
        self.rows = Statistics.objects.using(self.broker.using).filter(backend=self.broker.alias)

    def run(self) -> None:
        now = self.registry.database_now()
        if self._condense(now - KEEP_MINUTES):
            self.due_at = time.monotonic() + self.soon
        elif self.broker.options.statistics_ttl is not None:
            oldest = now - timedelta(seconds=self.broker.options.statistics_ttl)
            self.rows.filter(period__in=(MINUTE, HOUR), at__lt=oldest).delete()

    def _condense(self, before: datetime) -> bool:
        """Add the oldest minute before a moment to its hour; say whether there was one."""
        minutes = self.rows.filter(period=MINUTE)
        minute = minutes.filter(at__lt=before).order_by("at").values_list("at", flat=True).first()
        if minute is None:
            return False
        with self.broker.transaction(durable=False):
            # Whoever comes second waits here, and finds nothing left to add.
            if list(minutes.filter(at=minute).select_for_update().values_list("task_path")):
                self._add_to_hour(minute)
                minutes.filter(at=minute).delete()
        return True

    def _add_to_hour(self, minute: datetime) -> None:
        moment = Statistics._meta.get_field("at")
        at, hour = (
            moment.get_db_prep_save(value, self.broker.connection) for value in (minute, minute.replace(minute=0))
        )
        added = ", ".join(f"m.{name}" for name in SUMS)
        with self.broker.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {TABLE} ({', '.join((*KEY, *SUMS))})"
                f" SELECT m.backend, %s, %s, m.queue_name, m.task_path, {added} FROM {TABLE} m"
                " WHERE m.backend = %s AND m.period = %s AND m.at = %s ORDER BY m.queue_name, m.task_path"
                f" {self.broker.adding_up(TABLE, KEY, SUMS)}",
                [HOUR, hour, self.broker.alias, MINUTE, at],
            )
