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
    requeue: any Result ──► READY, under the same id
    prune:   deletes Results
"""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _

__all__ = ["DEP14_STATUS", "FINAL_STATUSES", "SUCCESSFUL", "JobStatus", "ResultStatus", "WorkerStatus"]


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
