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
    return_value = PayloadField(_("return value"), null=True)

    class Meta:
        db_table = "django_tasks_q_result"
        verbose_name = _("result")
        verbose_name_plural = _("results")
        default_permissions = ("view", "delete")
        permissions = [("retry_result", "Can retry finished jobs")]
        indexes = [
            models.Index(fields=["status", "finished_at"], name="tasksq_result_status"),
            models.Index(fields=["task_path", "id"], name="tasksq_result_task"),
        ]
