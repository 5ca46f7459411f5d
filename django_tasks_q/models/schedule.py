from django.core.exceptions import ValidationError
from django.db import models
from django.utils.module_loading import import_string
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from ..lifecycle import CatchUp, OccurrenceStatus, Overlap, ScheduleKind, ScheduleOrigin
from ..task_options import LONGEST_PATH, LONGEST_QUEUE_NAME
from .fields import PayloadField

__all__ = ["Schedule", "ScheduleRun"]

# By name, because models know nothing of the layers above them.
FIND_PROBLEM = "django_tasks_q.schedules.validation.find_problem"


class Schedule(models.Model):
    """What runs when. It runs as long as next_run_at is set: anything that keeps it from running sets it to NULL."""

    backend = models.CharField(_("backend"), max_length=64, default="default")
    name = models.CharField(_("name"), max_length=200)
    description = models.TextField(_("description"), default="", blank=True)
    origin = models.CharField(
        _("origin"), max_length=10, choices=ScheduleOrigin, default=ScheduleOrigin.ADMIN, editable=False
    )

    task_path = models.CharField(_("task"), max_length=LONGEST_PATH)
    args = PayloadField(_("arguments"), default=list, blank=True)
    kwargs = PayloadField(_("keyword arguments"), default=dict, blank=True)
    # Empty, or NULL: the task's own.
    queue_name = models.CharField(_("queue"), max_length=LONGEST_QUEUE_NAME, default="", blank=True)
    priority = models.SmallIntegerField(_("priority"), null=True, blank=True)
    # As a job's: {"max_attempts": 3}.
    options = PayloadField(_("options"), default=dict, blank=True)

    kind = models.CharField(_("kind"), max_length=10, choices=ScheduleKind, default=ScheduleKind.CRON)
    # A cron expression, seconds, a datetime in ISO 8601, or "sunset 41.9 12.5".
    expression = models.CharField(_("expression"), max_length=255)
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC")
    start_at = models.DateTimeField(_("start at"), null=True, blank=True)
    end_at = models.DateTimeField(_("end at"), null=True, blank=True)
    max_runs = models.PositiveIntegerField(_("most runs"), null=True, blank=True)
    # Seconds.
    jitter = models.PositiveIntegerField(_("jitter"), default=0)
    expires_after = models.PositiveIntegerField(_("expires after"), null=True, blank=True)

    catch_up = models.CharField(_("catch up"), max_length=10, choices=CatchUp, default=CatchUp.LATEST)
    catch_up_window = models.PositiveIntegerField(_("catch up within"), null=True, blank=True)
    overlap = models.CharField(_("overlap"), max_length=20, choices=Overlap, default=Overlap.ALLOW)

    # Whether its author wants it to run, and whether an operator has paused it, which no synchronisation changes.
    enabled = models.BooleanField(_("enabled"), default=True)
    paused = models.BooleanField(_("paused"), default=False, editable=False)
    paused_by = models.CharField(_("paused by"), max_length=150, default="", blank=True, editable=False)

    next_run_at = models.DateTimeField(_("next run"), null=True, editable=False)
    last_run_at = models.DateTimeField(_("last run"), null=True, editable=False)
    last_job_id = models.UUIDField(_("last job"), null=True, editable=False)
    total_runs = models.PositiveBigIntegerField(_("runs"), default=0, editable=False)
    # Why it does not run, in plain text for an operator.
    reason = models.CharField(_("reason"), max_length=500, default="", blank=True, editable=False)
    # When its definition changed, and which declaration in code it follows, and followed before.
    updated_at = models.DateTimeField(_("changed at"), default=now, editable=False)
    declaration = models.CharField(max_length=64, default="", editable=False)
    former_declaration = models.CharField(max_length=64, default="", editable=False)

    class Meta:
        db_table = "django_tasks_q_schedule"
        verbose_name = _("schedule")
        verbose_name_plural = _("schedules")
        permissions = [
            ("run_schedule", "Can run schedules now"),
            ("pause_schedule", "Can pause and resume schedules"),
        ]
        constraints = [models.UniqueConstraint(fields=["backend", "name"], name="tasksq_schedule_name")]
        indexes = [models.Index(fields=["backend", "next_run_at"], name="tasksq_schedule_due")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse what the code and the commands refuse, with the same messages."""
        problem = import_string(FIND_PROBLEM)(self)
        if problem is not None:
            field = problem.field if problem.field in {item.name for item in self._meta.fields} else None
            raise ValidationError({field: str(problem)} if field else str(problem))


class ScheduleRun(models.Model):
    """What happened to one occurrence: there can be no second row for it, and so no second job."""

    schedule = models.ForeignKey(
        Schedule, models.CASCADE, related_name="runs", db_constraint=False, db_index=False, verbose_name=_("schedule")
    )
    slot = models.DateTimeField(_("slot"))
    status = models.CharField(_("status"), max_length=10, choices=OccurrenceStatus, default=OccurrenceStatus.ENQUEUED)
    job_id = models.UUIDField(_("job"), null=True)
    fired_at = models.DateTimeField(_("fired at"))
    reason = models.CharField(_("reason"), max_length=500, default="", blank=True)

    class Meta:
        db_table = "django_tasks_q_schedule_run"
        verbose_name = _("run of a schedule")
        verbose_name_plural = _("runs of schedules")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["schedule", "slot"], name="tasksq_run_slot")]
        indexes = [
            models.Index(fields=["job_id"], name="tasksq_run_job"),
            models.Index(fields=["fired_at"], name="tasksq_run_fired"),
        ]

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.slot}"
