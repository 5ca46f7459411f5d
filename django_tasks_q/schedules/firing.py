"""The tick: due schedules are locked, their jobs inserted, what is due recorded and what is next set, at once."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils.translation import gettext as _

from ..brokers.base import Broker
from ..brokers.values import queues_of
from ..lifecycle import Overlap
from ..models import Job, Schedule, ScheduleRun
from ..moments import to_aware, to_stored
from ..notifiers import notify
from ..payloads import clean_text
from ..signals import schedule_disabled, schedule_fired
from .definitions import Definition
from .planning import FindTaskInfo, Plan, Planner

__all__ = ["BATCH", "Fired", "Firer", "next_due"]

logger = logging.getLogger("django_tasks_q.worker")
BATCH = 500
LONGEST_REASON = 500
COLUMNS = ("next_run_at", "last_run_at", "last_job_id", "total_runs", "enabled", "reason")
CHANGES = ", ".join(f"{name} = %s" for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class Fired:
    """What a tick did: how many schedules were due, how many of them wait for their task to be looked up, and jobs."""

    due: int = 0
    waiting: int = 0
    jobs: int = 0


def next_due(broker: Broker) -> float | None:
    """Return the seconds until the next occurrence of any schedule, 0 or less if it is due; None if there is none."""
    return broker.dialect.seconds_until(
        "next_run_at",
        "FROM django_tasks_q_schedule WHERE backend = %s AND next_run_at IS NOT NULL ORDER BY next_run_at LIMIT 1",
        [broker.alias],
    )


class Firer:
    """Fires the due schedules of a backend.

    sender: of the signals. find_task_info: returns what this process knows about a task.
    """

    def __init__(self, broker: Broker, sender: Any, find_task_info: FindTaskInfo) -> None:
        self.broker = broker
        self.sender = sender
        self.planner = Planner(broker, find_task_info)

    def fire(self, limit: int = BATCH) -> Fired:
        """Fire up to this many due schedules that no other session has locked. A faulty schedule is disabled."""
        try:
            return self._fire(self._lock_due, limit)
        except (OperationalError, InterfaceError):
            raise
        except DatabaseError:
            logger.exception("The due schedules cannot be fired together; they are tried one by one.")
            return self._fire_singly(limit)

    def fire_one(self, key: int) -> Fired:
        """Fire one schedule, if it is due and nobody else has it locked."""
        return self._fire(self._lock_one, key)

    def _fire(self, lock: Any, argument: int) -> Fired:
        with self.broker.transaction():
            rows = lock(argument)
            if not rows:
                return Fired()
            now = to_aware(self.broker.dialect.now())
            plans = [plan for row in rows if (plan := self.planner.plan(row, now)) is not None]
            self._forget_recorded(plans)
            self._apply_overlaps([plan for plan in plans if plan.specs and plan.definition.overlap != Overlap.ALLOW])
            self._write(plans)
        self._announce(plans)
        return Fired(len(rows), len(rows) - len(plans), sum(len(plan.specs) for plan in plans))

    def _fire_singly(self, limit: int) -> Fired:
        with self.broker.transaction():
            keys = [row.pk for row in self._lock_due(limit)]
        jobs = 0
        for key in keys:
            try:
                jobs += self.fire_one(key).jobs
            except (OperationalError, InterfaceError):
                raise
            except DatabaseError as error:
                self._disable(key, error)
        return Fired(len(keys), 0, jobs)

    def _disable(self, key: int, error: DatabaseError) -> None:
        with self.broker.transaction():
            now = to_aware(self.broker.dialect.now())
            plans = [
                Plan(row, Definition.of_row(row), now, enabled=False, reason=str(error)) for row in self._lock_one(key)
            ]
            self._write(plans)
        self._announce(plans)

    # lock

    def _lock_due(self, limit: int) -> list[Schedule]:
        return self._lock(
            f"{self.broker.dialect.by_next_run} WHERE backend = %s AND next_run_at <= {self.broker.dialect.now_once}"
            f" ORDER BY next_run_at LIMIT %s {self.broker.dialect.skip_locked}",
            [self.broker.alias, limit],
        )

    def _lock_one(self, key: int) -> list[Schedule]:
        condition = f"{self.broker.dialect.by_key} WHERE id = %s AND next_run_at <= {self.broker.dialect.now_once}"
        return self._lock(f"{condition} {self.broker.dialect.skip_locked}", [key])

    def _lock(self, condition: str, parameters: list[object]) -> list[Schedule]:
        with self.broker.connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM django_tasks_q_schedule{condition}", parameters)
            keys = [row[0] for row in cursor.fetchall()]
        return list(Schedule.objects.using(self.broker.using).filter(pk__in=keys)) if keys else []

    # decide

    def _forget_recorded(self, plans: Sequence[Plan]) -> None:
        """Leave out occurrences that have already been fired: the clock, or a row, may have been set back."""
        plans = [plan for plan in plans if plan.may_be_recorded]
        occurrences = {run.slot for plan in plans for run in plan.runs}
        occurrences |= {to_stored(occurrence) for plan in plans for occurrence in plan.specs}
        if not occurrences:
            return
        recorded: dict[int, set[Any]] = {}
        runs = ScheduleRun.objects.using(self.broker.using).filter(
            schedule__in=[plan.row.pk for plan in plans], slot__in=occurrences
        )
        for key, occurrence in runs.values_list("schedule_id", "slot"):
            recorded.setdefault(key, set()).add(to_aware(occurrence))
        for plan in plans:
            if plan.row.pk in recorded:
                plan.forget(recorded[plan.row.pk])

    def _apply_overlaps(self, plans: Sequence[Plan]) -> None:
        last = {plan.row.last_job_id for plan in plans if plan.row.last_job_id}
        live = (
            set(Job.objects.using(self.broker.using).filter(id__in=last).values_list("id", flat=True)) if last else ()
        )
        replaced = []
        for plan in plans:
            is_live, occurrences = plan.row.last_job_id in live, sorted(plan.specs)
            if plan.definition.overlap == Overlap.CANCEL_PREVIOUS:
                replaced += [plan.row.last_job_id] if is_live else []
                plan.skip(occurrences[:-1], _("A later slot was due as well."))
            else:
                plan.skip(occurrences[0 if is_live else 1 :], _("The job before it had not finished."))
        if replaced:
            self.broker.cancel(filter(None, replaced), reason=_("Its schedule came to the next slot."))

    # write

    def _write(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            plan.settle()
        specs = [spec for plan in plans for spec in plan.specs.values()]
        if specs:
            self.broker.enqueue(specs)
            notify(self.broker.alias, self.broker.using, queues_of(specs))
        ScheduleRun.objects.using(self.broker.using).bulk_create([run for plan in plans for run in plan.runs])
        if plans:
            with self.broker.connection.cursor() as cursor:
                cursor.executemany(
                    f"UPDATE django_tasks_q_schedule SET {CHANGES} WHERE id = %s",
                    [self._values(plan) for plan in plans],
                )

    def _values(self, plan: Plan) -> list[object]:
        row, moment = plan.row, self.broker.connection.ops.adapt_datetimefield_value
        specs = list(plan.specs.values())
        last_job_id = specs[-1].id if specs else row.last_job_id
        return [
            moment(to_stored(plan.following) if plan.following else None),
            moment(to_stored(plan.now) if specs else row.last_run_at),
            self.broker.dialect.to_key(last_job_id) if last_job_id else None,
            row.total_runs,
            plan.enabled,
            clean_text(plan.reason)[:LONGEST_REASON],
            row.pk,
        ]

    def _announce(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            if not plan.enabled:
                logger.error("The schedule %r is disabled: %s", plan.row.name, plan.reason)
                schedule_disabled.send_robust(self.sender, schedule=plan.row, reason=plan.reason)
            for occurrence, spec in plan.specs.items():
                schedule_fired.send_robust(self.sender, schedule=plan.row, slot=occurrence, job_id=spec.id)
