"""What to do about a schedule whose slot has come."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from ..brokers.base import Broker
from ..brokers.values import JobSpec
from ..exceptions import InvalidSchedule
from ..lifecycle import Overlap, RunStatus
from ..models import Schedule, ScheduleRun
from .definitions import Definition
from .jobs import make_spec
from .moments import to_aware, to_stored
from .shapes import TaskShape
from .slots import find_due
from .store import upcoming
from .validation import check_call

__all__ = ["FindShape", "Plan", "Planner"]

logger = logging.getLogger("django_tasks_q.worker")
# What is known of the task at a path: its shape, or why there is none, or nothing yet.
FindShape = Callable[[str], TaskShape | str | None]


@dataclass(slots=True)
class Plan:
    """What becomes of one due schedule: the jobs of its slots, what is to be recorded, and when it comes next."""

    row: Schedule
    definition: Definition
    now: datetime
    specs: dict[datetime, JobSpec] = field(default_factory=dict)
    runs: list[ScheduleRun] = field(default_factory=list)
    following: datetime | None = None
    enabled: bool = True
    reason: str = ""

    def note(self, slot: datetime, status: str, *, job_id: str | None = None, reason: str = "") -> None:
        """Record what became of a slot."""
        slot_at, now = to_stored(slot), to_stored(self.now)
        self.runs.append(
            ScheduleRun(schedule=self.row, slot=slot_at, fired_at=now, status=status, job_id=job_id, reason=reason)
        )

    def skip(self, slots: list[datetime], reason: str) -> None:
        """Make no jobs of slots after all."""
        for slot in slots:
            del self.specs[slot]
            self.note(slot, RunStatus.SKIPPED, reason=reason)

    @property
    def may_be_recorded(self) -> bool:
        """Whether it may be known already what became of its slots: not where they come after the last job."""
        last = self.row.last_run_at
        if self.runs or self.definition.overlap != Overlap.ALLOW:
            return True
        return last is not None and any(slot <= to_aware(last) for slot in self.specs)

    def forget(self, recorded: set[datetime]) -> None:
        """Leave out slots of which is known already what became of them."""
        self.specs = {slot: spec for slot, spec in self.specs.items() if slot not in recorded}
        self.runs = [run for run in self.runs if to_aware(run.slot) not in recorded]

    def settle(self) -> None:
        """Count the jobs, and find out whether there is to be another one."""
        for slot, spec in self.specs.items():
            self.note(slot, RunStatus.ENQUEUED, job_id=spec.id)
        self.row.total_runs += len(self.specs)
        most = self.definition.max_runs
        if self.enabled and (self.following is None or (most is not None and self.row.total_runs >= most)):
            self.following, self.reason = upcoming(
                self.definition, self.now, paused=False, total_runs=self.row.total_runs
            )


class Planner:
    """Plans what is due. find_shape: returns what this process knows of a task."""

    def __init__(self, broker: Broker, find_shape: FindShape) -> None:
        self.broker = broker
        self.find_shape = find_shape

    def plan(self, row: Schedule, now: datetime) -> Plan | None:
        """Return the plan of a due schedule; None where its task is still being looked up.

        What is wrong with a schedule disables that one.
        """
        definition = Definition.of_row(row)
        shape = self.find_shape(row.task_path)
        if shape is None:
            return None
        try:
            return self._plan(row, definition, self._checked(row, definition, shape, now), now)
        except Exception as error:
            if not isinstance(error, InvalidSchedule):
                logger.exception("The schedule %r cannot be fired.", row.name)
            return Plan(row, definition, now, enabled=False, reason=str(error) or type(error).__name__)

    def _checked(
        self, row: Schedule, definition: Definition, shape: TaskShape | str, now: datetime
    ) -> TaskShape | None:
        """Return the shape of the task; None where there is none here, but a newer worker may know it."""
        try:
            check_call(definition, shape)
        except InvalidSchedule:
            # What has changed lately may be part of a deploy, and this worker is not.
            grace = timedelta(seconds=self.broker.options.unknown_task_grace)
            if to_aware(row.updated_at) + grace <= now:
                raise
        return shape if isinstance(shape, TaskShape) else None

    def _plan(self, row: Schedule, definition: Definition, shape: TaskShape | None, now: datetime) -> Plan:
        due = find_due(definition, to_aware(row.next_run_at or now), now)
        left = len(due.slots) if definition.max_runs is None else max(0, definition.max_runs - row.total_runs)
        plan = Plan(row, definition, now, following=due.following)
        # Where USE_TZ is off, the hour that is repeated in autumn is stored, and so fired, once.
        slots = {to_stored(slot): slot for slot in due.slots}.values()
        for slot in list(slots)[:left]:
            plan.specs[slot] = make_spec(self.broker, row, definition, slot, now, shape)
        if due.missed is not None:
            plan.note(due.missed, RunStatus.MISSED, reason=_("From this slot on, nothing was there to fire it."))
        return plan
