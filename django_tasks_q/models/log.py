from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import PayloadField

__all__ = ["JobLog"]


class JobLog(models.Model):
    """Some lines that a run of a job has logged, in their order: append-only, and gone with the job's result.

    There is no foreign key: a job moves between two tables under its id.
    """

    id = models.BigAutoField(_("id"), primary_key=True)
    job_id = models.UUIDField(_("job"))
    attempt = models.PositiveIntegerField(_("attempt"))
    # [[seconds since 1970 on the database's clock, level, logger, message]], as they came.
    entries = PayloadField(_("lines"), default=list)

    class Meta:
        db_table = "django_tasks_q_job_log"
        verbose_name = _("log lines")
        verbose_name_plural = _("log lines")
        default_permissions = ()
        indexes = [models.Index(fields=["job_id", "attempt", "id"], name="tasksq_job_log_run")]

    def __str__(self) -> str:
        return f"{self.job_id} {self.attempt}"
