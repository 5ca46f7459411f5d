from django.db import models
from django.utils.translation import gettext_lazy as _

from ..lifecycle import WorkerRequest, WorkerStatus

__all__ = ["Worker"]


class Worker(models.Model):
    """One running taskworker. It writes this row at every heartbeat, on the database's clock."""

    id = models.CharField(_("id"), max_length=100, primary_key=True, editable=False)
    backend = models.CharField(_("backend"), max_length=64, default="default")
    status = models.CharField(_("status"), max_length=10, choices=WorkerStatus, default=WorkerStatus.ONLINE)
    # Whether it sleeps: only then does an enqueue have to wake it.
    idle = models.BooleanField(_("idle"), default=False)

    host = models.CharField(_("host"), max_length=255)
    # Which processes a process of this host can see: the boot and the PID namespace.
    node = models.CharField(_("node"), max_length=255)
    pid = models.PositiveIntegerField(_("process ID"))
    # When the kernel started the process, in its own unit: the same process ID may be used again.
    process_start = models.CharField(_("process start"), max_length=32, blank=True)

    queues = models.JSONField(_("queues"), default=list)
    excluded_queues = models.JSONField(_("excluded queues"), default=list)
    concurrency = models.PositiveIntegerField(_("concurrency"))
    started_at = models.DateTimeField(_("started at"))
    heartbeat_at = models.DateTimeField(_("last heartbeat"))
    stopped_at = models.DateTimeField(_("stopped at"), null=True)

    # What an operator wants of it; it looks at every heartbeat.
    request = models.CharField(_("request"), max_length=10, choices=WorkerRequest, null=True, blank=True)

    running = models.PositiveIntegerField(_("running"), default=0)
    finished = models.PositiveBigIntegerField(_("finished"), default=0)
    memory = models.PositiveBigIntegerField(_("memory in bytes"), default=0)

    class Meta:
        db_table = "django_tasks_q_worker"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        default_permissions = ("view", "delete")
        permissions = [("drain_worker", "Can drain workers"), ("stop_worker", "Can stop workers")]
        ordering = ["-heartbeat_at"]

    def __str__(self) -> str:
        return self.id
