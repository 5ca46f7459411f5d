"""What to do about a due schedule."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from ..brokers.base import Broker
from ..brokers.values import JobSpec
from ..exceptions import InvalidSchedule
from ..lifecycle import OccurrenceStatus, Overlap
from ..models import Schedule, ScheduleRun
from ..moments import to_aware, to_stored
from .definitions import Definition
from .occurrences import find_due
from .specs import make_spec
from .store import upcoming
from .task_info import TaskInfo
from .validation import check_call

__all__ = ["FindTaskInfo", "Plan", "Planner"]

logger = logging.getLogger("django_tasks_q.worker")
# What is known about the task at a path: see TaskInfo; or why there is none, or nothing yet.
FindTaskInfo = Callable[[str], TaskInfo | str | None]


@dataclass(slots=True)
class Plan:
    """The plan for one due schedule: the jobs of its occurrences, what to record, and when it is due next."""

    row: Schedule
    definition: Definition
    now: datetime
    specs: dict[datetime, JobSpec] = field(default_factory=dict)
    runs: list[ScheduleRun] = field(default_factory=list)
    following: datetime | None = None
    enabled: bool = True
    reason: str = ""

    def note(self, occurrence: datetime, status: str, *, job_id: str | None = None, reason: str = "") -> None:
        """Record what happened to an occurrence."""
        occurrence_at, now = to_stored(occurrence), to_stored(self.now)
        self.runs.append(
            ScheduleRun(
                schedule=self.row, slot=occurrence_at, fired_at=now, status=status, job_id=job_id, reason=reason
            )
        )

    def skip(self, occurrences: list[datetime], reason: str) -> None:
        """Make no jobs of occurrences after all."""
        for occurrence in occurrences:
            del self.specs[occurrence]
            self.note(occurrence, OccurrenceStatus.SKIPPED, reason=reason)

    @property
    def may_be_recorded(self) -> bool:
        """Whether its occurrences may already be recorded: not if they come after the last job."""
        last = self.row.last_run_at
        if self.runs or self.definition.overlap != Overlap.ALLOW:
            return True
        return last is not None and any(occurrence <= to_aware(last) for occurrence in self.specs)

    def forget(self, recorded: set[datetime]) -> None:
        """Leave out occurrences that are already recorded."""
        self.specs = {occurrence: spec for occurrence, spec in self.specs.items() if occurrence not in recorded}
        self.runs = [run for run in self.runs if to_aware(run.slot) not in recorded]

    def settle(self) -> None:
        """Count the jobs, and find out whether there is to be another one."""
        for occurrence, spec in self.specs.items():
            self.note(occurrence, OccurrenceStatus.ENQUEUED, job_id=spec.id)
        self.row.total_runs += len(self.specs)
        most = self.definition.max_runs
        if self.enabled and (self.following is None or (most is not None and self.row.total_runs >= most)):
            self.following, self.reason = upcoming(
                self.definition, self.now, paused=False, total_runs=self.row.total_runs
            )


class Planner:
    """Plans due schedules. find_task_info: returns what this process knows about a task."""

    def __init__(self, broker: Broker, find_task_info: FindTaskInfo) -> None:
        self.broker = broker
        self.find_task_info = find_task_info

    def plan(self, row: Schedule, now: datetime) -> Plan | None:
        """Return the plan of a due schedule; None if its task is still being looked up.

        A faulty schedule is disabled.
        """
        definition = Definition.of_row(row)
        info = self.find_task_info(row.task_path)
        if info is None:
            return None
        try:
            return self._plan(row, definition, self._checked(row, definition, info, now), now)
        except Exception as error:
            if not isinstance(error, InvalidSchedule):
                logger.exception("The schedule %r cannot be fired.", row.name)
            return Plan(row, definition, now, enabled=False, reason=str(error) or type(error).__name__)

    def _checked(self, row: Schedule, definition: Definition, info: TaskInfo | str, now: datetime) -> TaskInfo | None:
        """Return what is known about the task; None if there is none here, but a newer worker may know it."""
        try:
            check_call(definition, info)
        except InvalidSchedule:
            # A recent change may be part of a deploy that has not reached this worker.
            grace = timedelta(seconds=self.broker.options.unknown_task_grace)
            if to_aware(row.updated_at) + grace <= now:
                raise
        return info if isinstance(info, TaskInfo) else None

    def _plan(self, row: Schedule, definition: Definition, info: TaskInfo | None, now: datetime) -> Plan:
        due = find_due(definition, to_aware(row.next_run_at or now), now)
        left = len(due.occurrences) if definition.max_runs is None else max(0, definition.max_runs - row.total_runs)
        plan = Plan(row, definition, now, following=due.following)
        # If USE_TZ is off, the hour that is repeated in autumn is stored, and so fired, once.
        occurrences = {to_stored(occurrence): occurrence for occurrence in due.occurrences}.values()
        for occurrence in list(occurrences)[:left]:
            plan.specs[occurrence] = make_spec(self.broker, row, definition, occurrence, now, info)
        if due.missed is not None:
            plan.note(
                due.missed, OccurrenceStatus.MISSED, reason=_("From this slot on, nothing was there to fire it.")
            )
        return plan
