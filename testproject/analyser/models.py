from django.db import models

__all__ = ["Report", "SourceFile"]


class Report(models.Model):
    """The analysis of one installed package."""

    package = models.CharField(max_length=200)
    distribution = models.CharField(max_length=200)
    version = models.CharField(max_length=100)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"{self.package} ({self.distribution} {self.version})"


class SourceFile(models.Model):
    """One file of a report. Its id is that of the job that analyses it; finished_at is null until the job has."""

    id = models.UUIDField(primary_key=True, editable=False)
    report = models.ForeignKey(Report, models.CASCADE, related_name="files")
    path = models.TextField()
    lines = models.PositiveIntegerField(default=0)
    functions = models.PositiveIntegerField(default=0)
    classes = models.PositiveIntegerField(default=0)
    most_complex = models.CharField(max_length=500, blank=True)
    most_complex_line = models.PositiveIntegerField(default=0)
    complexity = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    seconds = models.FloatField(default=0)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path
