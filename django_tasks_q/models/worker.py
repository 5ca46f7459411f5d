from django.db import models
from django.utils.translation import gettext_lazy as _

from ..lifecycle import WorkerRequest, WorkerStatus

__all__ = ["Sleeper", "Worker"]


class Worker(models.Model):
    """One running taskworker. It writes this row at every heartbeat, on the database's clock."""

    id = models.CharField(_("id"), max_length=100, primary_key=True, editable=False)
    backend = models.CharField(_("backend"), max_length=64, default="default")
    status = models.CharField(_("status"), max_length=10, choices=WorkerStatus, default=WorkerStatus.ONLINE)
    # Whether it is asleep: only then does an enqueue have to wake it.
    idle = models.BooleanField(_("idle"), default=False)

    host = models.CharField(_("host"), max_length=255)
    # Which processes a process on this host can see: the boot and the PID namespace.
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

    # What an operator has asked of it; it checks at every heartbeat.
    request = models.CharField(_("request"), max_length=10, choices=WorkerRequest, null=True, blank=True)

    running = models.PositiveIntegerField(_("running"), default=0)
    finished = models.PositiveBigIntegerField(_("finished"), default=0)
    memory = models.PositiveBigIntegerField(_("memory in bytes"), default=0)
    # What it cannot record, and why, in plain text for an operator; empty if all is well. A worker of the previous
    # version does not know this column.
    trouble = models.CharField(_("trouble"), max_length=500, default="", db_default="", blank=True, editable=False)

    class Meta:
        db_table = "django_tasks_q_worker"
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        default_permissions = ("view", "delete")
        permissions = [("drain_worker", "Can drain workers"), ("stop_worker", "Can stop workers")]
        ordering = ["-heartbeat_at"]

    def __str__(self) -> str:
        return self.id


class Sleeper(models.Model):
    """A sleeping worker, and what would wake it: producers read this at every enqueue.

    Not in the worker's row, because each heartbeat leaves a dead version of that. A long report keeps those, and a
    producer would read them all.
    """

    # The channel on which it listens, the same as long as its process lives.
    address = models.CharField(max_length=63, primary_key=True)
    worker_id = models.CharField(max_length=100)
    backend = models.CharField(max_length=64)
    # A regular expression for its queues: to plan anything else would cost a producer more than to run it.
    hears = models.TextField()
    concurrency = models.PositiveIntegerField()
    since = models.DateTimeField()

    class Meta:
        db_table = "django_tasks_q_sleeper"
        default_permissions = ()

    def __str__(self) -> str:
        return self.worker_id
