from django.db import models
from django.utils.translation import gettext_lazy as _

from ..ids import uuid7
from ..lifecycle import JobStatus
from ..task_options import LONGEST_PATH, LONGEST_QUEUE_NAME
from .fields import PayloadField
from .indexes import StatusIndex

__all__ = ["Call", "Job"]


class Call(models.Model):
    """What a job and its result have in common: a row moves between the two tables under the same id."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid7, editable=False)
    backend = models.CharField(_("backend"), max_length=64, default="default")
    queue_name = models.CharField(_("queue"), max_length=LONGEST_QUEUE_NAME, default="default")
    priority = models.SmallIntegerField(_("priority"), default=0)
    task_path = models.CharField(_("task"), max_length=LONGEST_PATH)
    args = PayloadField(_("arguments"), default=list)
    kwargs = PayloadField(_("keyword arguments"), default=dict)
    # Only what the call set itself; the rest comes from the task when it runs.
    options = PayloadField(_("options"), default=dict)
    metadata = PayloadField(_("metadata"), default=dict)
    run_after = models.DateTimeField(_("run after"), null=True)
    enqueued_at = models.DateTimeField(_("enqueued at"))
    started_at = models.DateTimeField(_("first started at"), null=True)
    last_attempted_at = models.DateTimeField(_("last started at"), null=True)
    # Runs in all; since the last requeue, those that failed, and those that ended with their process.
    attempt = models.PositiveIntegerField(_("attempt"), default=0)
    failures = models.PositiveIntegerField(_("failures"), default=0)
    losses = models.PositiveSmallIntegerField(_("losses"), default=0)
    worker_id = models.CharField(_("worker"), max_length=100, null=True)
    # [{"exception", "group", "traceback", "worker", "attempt", "kind", "started_at", "finished_at"}], oldest first.
    errors = models.JSONField(_("errors"), default=list)
    # The job that enqueued it while running, or the job that it copies with different arguments.
    parent_id = models.UUIDField(_("parent"), null=True, editable=False)
    # {"done", "total", "message", "at"}: the progress that the task last reported, NULL if none.
    progress = PayloadField(_("progress"), null=True)
    # Why it waits, or how it ended, in plain text for an operator.
    reason = models.CharField(_("reason"), max_length=500, default="", blank=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.task_path} {self.id}"


class Job(Call):
    """One call of a task that has not finished: live work only, so that this table stays small."""

    status = models.CharField(_("status"), max_length=10, choices=JobStatus, default=JobStatus.READY)
    # When a SCHEDULED job becomes READY, or when it became READY: run_after, or later, after an error or a requeue.
    due_at = models.DateTimeField(_("due at"), null=True)
    # When a RUNNING job became known to have begun, and whether its previous worker was lost before that.
    begun_at = models.DateTimeField(_("begun at"), null=True, editable=False)
    displaced = models.PositiveSmallIntegerField(_("displaced"), null=True, editable=False)
    # When the cancellation of a RUNNING job was requested, and the reason that it will have then. However this run
    # ends, there is no other one; only a success still counts.
    cancel_requested_at = models.DateTimeField(_("cancellation requested at"), null=True)
    cancel_reason = models.CharField(_("reason of the cancellation"), max_length=500, null=True)

    class Meta:
        db_table = "django_tasks_q_job"
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        default_permissions = ("view", "delete")
        permissions = [
            ("cancel_job", "Can cancel jobs"),
            ("run_job", "Can run scheduled jobs now"),
            ("move_job", "Can change the queue and the priority of jobs"),
            ("enqueue_job", "Can enqueue jobs"),
        ]
        indexes = [
            StatusIndex(status="READY", fields=["backend", "queue_name", "-priority", "id"], name="tasksq_job_claim"),
            StatusIndex(status="SCHEDULED", fields=["backend", "due_at"], name="tasksq_job_scheduled"),
            StatusIndex(status="RUNNING", fields=["worker_id", "id"], name="tasksq_job_running"),
        ]
