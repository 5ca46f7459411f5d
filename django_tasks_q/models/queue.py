from django.db import models
from django.utils.translation import gettext_lazy as _

from ..task_options import LONGEST_QUEUE_NAME

__all__ = ["Queue"]


class Queue(models.Model):
    """What an operator has set for a queue. A queue without a row is not paused and has no limits."""

    backend = models.CharField(_("backend"), max_length=64, default="default")
    name = models.CharField(_("name"), max_length=LONGEST_QUEUE_NAME)
    paused = models.BooleanField(_("paused"), default=False)
    changed_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        db_table = "django_tasks_q_queue"
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        default_permissions = ("view", "delete")
        permissions = [("pause_queue", "Can pause and resume queues")]
        constraints = [models.UniqueConstraint(fields=["backend", "name"], name="tasksq_queue_name")]

    def __str__(self) -> str:
        return self.name
