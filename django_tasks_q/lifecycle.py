"""The life of a job, on one page.

A job is in exactly one of two tables until it is pruned: live in Job, then in the history, Result.

    enqueue ──► READY ──claim──► RUNNING ──finish──► SUCCESSFUL │ FAILED        (Result)
        │         ▲  ▲              │
        │   promote  └── release ───┤   claimed, never started: no attempt is charged
        ▼         │  └── rescue ────┤   its worker is gone: the loss is counted
    SCHEDULED ────┘                 │
        ▲                           │
        └────────────── retry ──────┘   after an error; straight to READY where there is no wait
    WAITING: for other jobs, or for a slot of a limit; then READY

    cancel:  WAITING, SCHEDULED, READY ──► CANCELLED                            (Result)
             RUNNING: its task is told, then killed; ──► CANCELLED unless it succeeds
    requeue: any Result ──► READY, under the same id
    prune:   deletes Results
"""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

__all__ = [
    "DEP14_STATUS",
    "FINAL_STATUSES",
    "SUCCESSFUL",
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


class WorkerStatus(TextChoices):
    ONLINE = "ONLINE", _("Online")
    DRAINING = "DRAINING", _("Draining")
    OFFLINE = "OFFLINE", _("Offline")
    LOST = "LOST", _("Lost")


class WorkerRequest(TextChoices):
    """What an operator may want of a worker: to end when its jobs have, or now."""

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
    """What is done about slots that nobody was there to fire."""

    NONE = "none", _("None of them")
    LATEST = "latest", _("The latest one")
    ALL = "all", _("All of them")


class Overlap(TextChoices):
    """What is done where the schedule's last job has not finished at the next slot."""

    ALLOW = "allow", _("Run beside it")
    SKIP = "skip", _("Skip the slot")
    CANCEL_PREVIOUS = "cancel_previous", _("Cancel it")


class RunStatus(TextChoices):
    """What became of a slot of a schedule."""

    ENQUEUED = "ENQUEUED", _("Enqueued")
    MANUAL = "MANUAL", _("Run by an operator")
    SKIPPED = "SKIPPED", _("Skipped")
    MISSED = "MISSED", _("Missed")


# As text: the hash and the text of a member of an enum are Python code, which the hot path does without.
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
