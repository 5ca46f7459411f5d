from typing import ClassVar

from django.db import models
from django.db.models.functions import Now

__all__ = ["Effect", "Mark"]


class Effect(models.Model):
    """What one run of a job has done, by which process of which worker."""

    key = models.CharField(max_length=100)
    job_id = models.CharField(max_length=36)
    attempt = models.PositiveIntegerField()
    # Each run has one of its own, which the task also returns.
    run = models.CharField(max_length=32)
    worker = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    # On the database's clock: that of a worker may be moved.
    at = models.DateTimeField(db_default=Now())

    objects: ClassVar[models.Manager["Effect"]] = models.Manager()

    def __str__(self) -> str:
        return f"{self.key} {self.attempt}"


class Mark(models.Model):
    """Stands where the transaction of a batch has been committed, whatever its producer was told."""

    batch = models.CharField(max_length=32, primary_key=True)

    objects: ClassVar[models.Manager["Mark"]] = models.Manager()

    def __str__(self) -> str:
        return self.batch
