"""Reports: how one is started, and what can be said of it at any moment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum

from django_tasks_q import enqueue_many
from django_tasks_q.models import Job, Result

from .models import Report, SourceFile
from .packages import Package
from .tasks import analyse_file

__all__ = ["Failure", "Progress", "Summary", "failures", "progress", "start_report", "summary"]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a report. failed: files with a job that ended and wrote nothing; retry it in the admin."""

    total: int
    analysed: int
    failed: int
    unparsable: int
    lines: int
    functions: int
    classes: int
    started_at: datetime
    last_at: datetime | None

    @property
    def finished(self) -> int:
        return self.analysed + self.failed

    @property
    def is_finished(self) -> bool:
        return self.finished == self.total

    @property
    def percent(self) -> int:
        return 100 * self.finished // self.total if self.total else 100

    @property
    def seconds(self) -> float:
        """From the enqueue to the last file that was analysed."""
        return (self.last_at - self.started_at).total_seconds() if self.last_at else 0.0

    @property
    def rate(self) -> float:
        """Files in a second."""
        return self.analysed / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Summary:
    """The most notable files, each list in its own order. Each is read when it is used."""

    most_complex: QuerySet[SourceFile]
    largest: QuerySet[SourceFile]
    slowest: QuerySet[SourceFile]
    unparsable: QuerySet[SourceFile]


@dataclass(frozen=True, slots=True)
class Failure:
    """A file with a job that has ended and wrote nothing."""

    file: SourceFile
    reason: str


def start_report(package: Package) -> Report:
    """Store a report and enqueue one job for each file of the package: all of it, or nothing."""
    with transaction.atomic():
        report = Report.objects.create(
            package=package.name, distribution=package.distribution, version=package.version
        )
        paths = package.files()
        task = analyse_file.using(metadata={"report": report.pk})
        results = enqueue_many((task, (package.name, path), {}) for path in paths)
        SourceFile.objects.bulk_create(
            [SourceFile(id=result.id, report=report, path=path) for result, path in zip(results, paths, strict=True)]
        )
    return report


def progress(report: Report) -> Progress:
    """Count in one statement, so that a job that finishes meanwhile is not mistaken for a failed one."""
    counts: dict[str, Any] = report.files.aggregate(
        total=Count("pk"),
        analysed=Count("finished_at"),
        failed=Count("pk", filter=_is_failed()),
        unparsable=Count("pk", filter=~Q(error="")),
        lines=Sum("lines", default=0),
        functions=Sum("functions", default=0),
        classes=Sum("classes", default=0),
        last_at=Max("finished_at"),
    )
    return Progress(started_at=report.created_at, **counts)


def summary(report: Report, limit: int = 10) -> Summary:
    """Return the most notable files so far, at most `limit` of each kind."""
    analysed = report.files.filter(finished_at__isnull=False)
    return Summary(
        most_complex=analysed.filter(complexity__gt=0).order_by("-complexity", "path")[:limit],
        largest=analysed.order_by("-lines", "path")[:limit],
        slowest=analysed.order_by("-seconds", "path")[:limit],
        unparsable=analysed.exclude(error="")[:limit],
    )


def failures(report: Report, limit: int = 10) -> list[Failure]:
    """Return the files with failed jobs, with what the queue's history knows about them."""
    files = list(_failed(report)[:limit])
    results = Result.objects.in_bulk([file.pk for file in files])
    return [Failure(file, _reason(results.get(file.pk))) for file in files]


def _failed(report: Report) -> QuerySet[SourceFile]:
    return report.files.filter(_is_failed())


def _is_failed() -> Q:
    return Q(finished_at__isnull=True) & ~Q(Exists(Job.objects.filter(pk=OuterRef("pk"))))


def _reason(result: Result | None) -> str:
    if result is None:
        return "its job was deleted"
    return result.reason or (result.errors[-1]["exception"] if result.errors else result.get_status_display().lower())
