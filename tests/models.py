from django.db import models


class Effect(models.Model):
    """What a task has done, written in the task itself: as many rows as it really ran."""

    label = models.CharField(max_length=100)
    job_id = models.UUIDField(null=True)
    attempt = models.PositiveIntegerField(default=0)
    pid = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.label
