"""What happened, counted by the minute: the only code that writes the statistics table."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import frexp
from typing import Any

from django.conf import settings
from django.db.models import Q

from ..brokers.values import ClaimedJob, Outcome
from ..lifecycle import ResultStatus
from ..models.statistics import BUCKETS, HOUR, KEY, MINUTE, SUMS, Statistics
from ..moments import seconds_since
from .base import Service
from .registry import Registry

__all__ = ["StatisticsCollector", "StatisticsRollup"]

TABLE = Statistics._meta.db_table
KEEP_MINUTES = timedelta(days=1)
# Rows that one statement adds, and rows that one statement condenses or deletes.
BATCH, LARGE_BATCH = 100, 1_000
# The exponents of two index a list, negative ones from its end: it must be long enough for all.
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
    """A task's jobs that ended in one way. runs, waits: how many took how long, by exponent of two of the seconds.

    never_ran: how many ended without a run, for example because they were cancelled before.
    """

    run_seconds: float = 0.0
    wait_seconds: float = 0.0
    runs: list[int] = field(default_factory=_exponents)
    waits: list[int] = field(default_factory=_exponents)
    lost: int = 0
    never_ran: int = 0


class StatisticsCollector(Service):
    """Counts what the supervisor records, and adds it to the table every ten seconds.

    Several workers add to the same rows. What a killed worker had not yet added is lost: ten seconds at most.
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
        """Count the end of a run, or of a job that will not run any more, in about a microsecond."""
        if not self.is_on or not (outcome.ending.is_charged or outcome.is_final):
            return
        key = (job.queue_name, job.task_path, outcome.status)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        if not outcome.ending.is_charged:
            tally.never_ran += 1
            return
        started = outcome.started_at
        # A microsecond more, because zero has no exponent.
        seconds = (outcome.finished_at - started).total_seconds() + 1e-6
        tally.run_seconds += seconds
        tally.runs[frexp(seconds)[1]] += 1
        if outcome.ending.is_loss:
            tally.lost += 1
        if job.attempt == 1:
            ready = job.run_after or job.enqueued_at
            seconds = seconds_since(ready, started) if self._is_naive else (started - ready).total_seconds()
            # The clocks of two hosts differ: it may seem to have started before.
            if seconds <= 0.0:
                seconds = 1e-6
            tally.wait_seconds += seconds
            tally.waits[frexp(seconds)[1]] += 1

    def run(self) -> None:
        """Add what has been gathered; keep it if the database refuses it."""
        if self._tallies:
            # All of it goes to the minute that most of it belongs to.
            middle = (time.monotonic() - self._since) / 2
            minute = self.registry.clock.stored_now(ago=timedelta(seconds=middle)).replace(second=0, microsecond=0)
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
                f" {self.broker.dialect.adding_up(TABLE, KEY, SUMS)}",
                values,
            )


def _rows(tallies: dict[tuple[str, str, str], Tally]) -> list[tuple[str, str, list[Any]]]:
    """Return the sums of each queue and task, in key order: all workers lock the rows in this order."""
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


class StatisticsRollup(Service):
    """Adds minutes of more than a day ago to their hour, one batch at a time, and deletes hours that are too old."""

    interval = 60.0
    soon = 0.1

    def __init__(self, registry: Registry) -> None:
        super().__init__()
        self.broker = registry.broker
        self.registry = registry
        self.rows = Statistics.objects.using(self.broker.using).filter(backend=self.broker.alias)

    def run(self) -> None:
        if self._condense(self.registry.clock.stored_now(ago=KEEP_MINUTES)):
            self.due_at = time.monotonic() + self.soon
        elif self.broker.options.statistics_ttl is not None:
            oldest = self.registry.clock.stored_now(ago=timedelta(seconds=self.broker.options.statistics_ttl))
            if self._forget(MINUTE, oldest) or self._forget(HOUR, oldest):
                self.due_at = time.monotonic() + self.soon

    def _forget(self, period: int, before: datetime) -> bool:
        """Delete the oldest rows of a period before a given time; return whether there may be more."""
        deleted = self.broker.dialect.delete_first(
            TABLE,
            "backend = %s AND period = %s AND at < %s",
            "backend, period, at",
            [self.broker.alias, period, self._stored(before)],
            limit=LARGE_BATCH,
        )
        return deleted >= LARGE_BATCH

    def _condense(self, before: datetime) -> bool:
        """Add rows of the oldest minute before a given time to their hour; return whether there were any."""
        minutes = self.rows.filter(period=MINUTE)
        minute = minutes.filter(at__lt=before).order_by("at").values_list("at", flat=True).first()
        if minute is None:
            return False
        rows = minutes.filter(at=minute).order_by("queue_name", "task_path").values_list("queue_name", "task_path")
        with self.broker.transaction(durable=False):
            # A second worker waits here, and then finds what is left to add.
            locked = list(rows.select_for_update()[:LARGE_BATCH])
            if locked:
                queue, task = locked[-1]
                self._add_to_hour(minute, queue, task)
                up_to = Q(queue_name__lt=queue) | Q(queue_name=queue, task_path__lte=task)
                minutes.filter(up_to, at=minute).delete()
        return True

    def _add_to_hour(self, minute: datetime, queue: str, task: str) -> None:
        """Add the rows of a minute, up to and including the row of a task in a queue."""
        added = ", ".join(f"m.{name}" for name in SUMS)
        hour = self._stored(minute.replace(minute=0))
        with self.broker.connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {TABLE} ({', '.join((*KEY, *SUMS))})"
                f" SELECT m.backend, %s, %s, m.queue_name, m.task_path, {added} FROM {TABLE} m"
                " WHERE m.backend = %s AND m.period = %s AND m.at = %s"
                " AND (m.queue_name < %s OR (m.queue_name = %s AND m.task_path <= %s))"
                " ORDER BY m.queue_name, m.task_path"
                f" {self.broker.dialect.adding_up(TABLE, KEY, SUMS)}",
                [HOUR, hour, self.broker.alias, MINUTE, self._stored(minute), queue, queue, task],
            )

    def _stored(self, moment: datetime) -> Any:
        return Statistics._meta.get_field("at").get_db_prep_save(moment, self.broker.connection)
