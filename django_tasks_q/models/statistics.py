from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..task_options import LONGEST_PATH, LONGEST_QUEUE_NAME

__all__ = ["BUCKETS", "COUNTS", "HOUR", "KEY", "MINUTE", "RUNS", "SUMS", "WAITS", "Statistics"]

# Lengths of a period, in seconds.
MINUTE, HOUR = 60, 3_600
# Bucket k counts durations of less than 2 ** (k - 10) seconds and at least half of that; the last also longer ones.
# The first ends at 1 ms, the last begins at 68 minutes.
BUCKETS = 24
KEY = ("backend", "period", "at", "queue_name", "task_path")
COUNTS = ("successful", "failed", "cancelled", "retried", "lost")
RUNS = tuple(f"run_{bucket}" for bucket in range(BUCKETS))
WAITS = tuple(f"wait_{bucket}" for bucket in range(BUCKETS))
# All columns that are summed.
SUMS = (*COUNTS, "run_seconds", "wait_seconds", *RUNS, *WAITS)


class Statistics(models.Model):
    """What happened to the jobs of one task in one queue within one minute, or one hour: it outlives the results.

    A run is counted when its end is recorded, under what followed: a final status, or retried. lost: runs of either
    kind that ended because their process died. Waits are those before first runs. run_0 … and wait_0 … are histograms:
    see BUCKETS.
    """

    pk = models.CompositePrimaryKey(*KEY)
    backend = models.CharField(_("backend"), max_length=64)
    period = models.PositiveSmallIntegerField(_("period in seconds"))
    at = models.DateTimeField(_("begins at"))
    queue_name = models.CharField(_("queue"), max_length=LONGEST_QUEUE_NAME)
    task_path = models.CharField(_("task"), max_length=LONGEST_PATH)

    successful = models.IntegerField(_("successful"), default=0)
    failed = models.IntegerField(_("failed"), default=0)
    cancelled = models.IntegerField(_("cancelled"), default=0)
    retried = models.IntegerField(_("retried"), default=0)
    lost = models.IntegerField(_("lost"), default=0)
    run_seconds = models.FloatField(_("seconds of run time"), default=0.0)
    wait_seconds = models.FloatField(_("seconds of wait time"), default=0.0)

    class Meta:
        db_table = "django_tasks_q_statistics"
        verbose_name = _("statistics")
        verbose_name_plural = _("statistics")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.task_path} {self.at}"


def _add_bucket(name: str) -> None:
    column: Any = models.IntegerField(name, default=0)
    Statistics.add_to_class(name, column)


for _bucket in (*RUNS, *WAITS):
    _add_bucket(_bucket)
