"""The life of a job, on one page.

A job is in exactly one of two tables until it is pruned: live in Job, then in the history, Result.

    enqueue ──► READY ──claim──► RUNNING ──finish──► SUCCESSFUL │ FAILED        (Result)
        │         ▲  ▲              │
        │   promote  └── release ───┤   claimed, never started: no attempt is charged
        ▼         │  └── rescue ────┤   its worker is gone: the loss is counted
    SCHEDULED ────┘                 │
        ▲                           │
        └────────────── retry ──────┘   after an error; straight to READY if there is no wait
    WAITING: for other jobs, or for a slot of a limit; then READY

    cancel:  WAITING, SCHEDULED, READY ──► CANCELLED                            (Result)
             RUNNING: its task is told, then killed; ──► CANCELLED unless it succeeds
    ignore:  RUNNING, by its own task ──► CANCELLED
    requeue: any Result ──► READY, under the same id
    prune:   deletes Results
"""

from enum import StrEnum

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

__all__ = [
    "ALIVE",
    "DEP14_STATUS",
    "FINAL_STATUSES",
    "SUCCESSFUL",
    "Ending",
    "JobStatus",
    "ResultStatus",
    "WorkerRequest",
    "WorkerStatus",
]


class JobStatus(TextChoices):
    WAITING = "WAITING", _("Waiting")
    SCHEDULED = "SCHEDULED", _("Scheduled")
    READY = "READY", _("Ready")
    RUNNING = "RUNNING", _("Running")


class ResultStatus(TextChoices):
    SUCCESSFUL = "SUCCESSFUL", _("Successful")
    FAILED = "FAILED", _("Failed")
    CANCELLED = "CANCELLED", _("Cancelled")


FAILURE, LOSS, UNCHARGED, UNANNOUNCED = "failure", "loss", "uncharged", "unannounced"


class Ending(StrEnum):
    """How a run of a job ended, or why a claimed job did not begin. Whether it runs again is in the job's new status.

    is_failure: it counts against max_attempts. is_loss: it counts against max_losses. is_charged: it counts as an
    attempt. was_announced: the process that ran it was still there to announce the end.
    """

    is_failure: bool
    is_loss: bool
    is_charged: bool
    was_announced: bool

    def __new__(cls, value: str, *marks: str) -> "Ending":
        ending = str.__new__(cls, value)
        ending._value_ = value
        # Plain attributes: the hot path reads them, and a property is a call.
        ending.is_failure = FAILURE in marks
        ending.is_loss = LOSS in marks
        ending.is_charged = UNCHARGED not in marks
        ending.was_announced = UNANNOUNCED not in marks
        return ending

    SUCCESS = "success"
    ERROR = "error", FAILURE
    SOFT_TIMEOUT = "soft_timeout", FAILURE
    # The task was interrupted because its job is to be cancelled.
    CANCELLED = "cancelled"
    # The task has raised Ignore, or Reject(requeue=True).
    IGNORED = "ignored"
    REJECTED = "rejected", UNCHARGED
    # The row is damaged.
    CORRUPT = "corrupt", FAILURE
    # The worker does not know the task: the job waits for one that does, and fails if none comes.
    PARKED = "parked", UNCHARGED
    UNKNOWN_TASK = "unknown_task", FAILURE
    # The job belongs to another worker now: nothing is recorded.
    SUPERSEDED = "superseded"
    # The process was killed: at the hard time limit, because of a cancellation, for its size.
    TIMEOUT = "timeout", FAILURE, UNANNOUNCED
    CANCEL_KILLED = "cancel_killed", UNANNOUNCED
    OUT_OF_MEMORY = "out_of_memory", LOSS, UNANNOUNCED
    # The process has died.
    LOST = "lost", LOSS, UNANNOUNCED
    # The worker had to stop.
    STOPPED = "stopped", UNCHARGED
    # It has not begun; or is not known to have begun, and its worker was lost.
    RELEASED = "released", UNCHARGED
    DISPLACED = "displaced", UNCHARGED
    # It was too late to begin.
    EXPIRED = "expired", UNCHARGED

    @property
    def kind(self) -> str:
        """The "kind" of its entry in Job.errors."""
        return _STORED_AS.get(self, self).value


_STORED_AS = {
    Ending.CORRUPT: Ending.ERROR,
    Ending.UNKNOWN_TASK: Ending.PARKED,
    Ending.CANCEL_KILLED: Ending.CANCELLED,
    Ending.OUT_OF_MEMORY: Ending.LOST,
}


class WorkerStatus(TextChoices):
    ONLINE = "ONLINE", _("Online")
    DRAINING = "DRAINING", _("Draining")
    OFFLINE = "OFFLINE", _("Offline")
    LOST = "LOST", _("Lost")


# Those of a worker that others take to be running, as long as it reports.
ALIVE = (WorkerStatus.ONLINE, WorkerStatus.DRAINING)


class WorkerRequest(TextChoices):
    """What an operator may ask of a worker: to exit when its jobs have finished, or now."""

    DRAIN = "DRAIN", _("Drain")
    STOP = "STOP", _("Stop")


class ScheduleKind(TextChoices):
    CRON = "cron", _("Cron expression")
    INTERVAL = "interval", _("Interval")
    CLOCKED = "clocked", _("One moment")
    # Not the day, which has the same short name.
    SOLAR = "solar", pgettext_lazy("kind of schedule", "Sun")


class ScheduleOrigin(TextChoices):
    CODE = "code", _("Code")
    SETTINGS = "settings", _("Settings")
    ADMIN = "admin", _("Operator")


class CatchUp(TextChoices):
    """What is done about occurrences that no worker was there to fire."""

    NONE = "none", _("None of them")
    LATEST = "latest", _("The latest one")
    ALL = "all", _("All of them")


class Overlap(TextChoices):
    """What is done if the schedule's last job has not finished at the next occurrence."""

    ALLOW = "allow", _("Run beside it")
    SKIP = "skip", _("Skip the slot")
    CANCEL_PREVIOUS = "cancel_previous", _("Cancel it")


class OccurrenceStatus(TextChoices):
    """What happened to an occurrence of a schedule."""

    ENQUEUED = "ENQUEUED", _("Enqueued")
    MANUAL = "MANUAL", _("Run by an operator")
    SKIPPED = "SKIPPED", _("Skipped")
    MISSED = "MISSED", _("Missed")


# As text: an enum member's hash and text run Python code, which the hot path avoids.
SUCCESSFUL = ResultStatus.SUCCESSFUL.value
FINAL_STATUSES = frozenset(str(status) for status in ResultStatus)

# DEP 14 knows four states.
DEP14_STATUS = {
    JobStatus.WAITING: "READY",
    JobStatus.SCHEDULED: "READY",
    JobStatus.READY: "READY",
    JobStatus.RUNNING: "RUNNING",
    ResultStatus.SUCCESSFUL: "SUCCESSFUL",
    ResultStatus.FAILED: "FAILED",
    ResultStatus.CANCELLED: "FAILED",
}
