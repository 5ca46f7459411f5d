from django.db import models
from django.utils.translation import gettext_lazy as _

from ..lifecycle import ResultStatus
from .fields import PayloadField
from .job import Call

__all__ = ["Result"]


class Result(Call):
    """A finished job: history, written once and pruned."""

    status = models.CharField(_("status"), max_length=10, choices=ResultStatus)
    finished_at = models.DateTimeField(_("finished at"))
    # What failed, and where: the same text for all similar failures. NULL if it did not fail.
    error_group = models.CharField(_("error"), max_length=255, null=True)
    return_value = PayloadField(_("return value"), null=True)

    class Meta:
        db_table = "django_tasks_q_result"
        verbose_name = _("result")
        verbose_name_plural = _("results")
        default_permissions = ("view", "delete")
        permissions = [
            ("retry_result", "Can retry finished jobs"),
            ("edit_result", "Can retry finished jobs with other arguments"),
        ]
        indexes = [
            # With the group at the end, failures are grouped without reading the table.
            models.Index(fields=["status", "finished_at", "error_group"], name="tasksq_result_status"),
            models.Index(fields=["task_path", "id"], name="tasksq_result_task"),
        ]
