"""The report as text for a terminal."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db.models import Min

from ..models import Report, SourceFile
from ..reports import Progress, failures, summary

__all__ = ["Timing", "describe"]

Heading = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. started: the moment when the worker process was started, as a timestamp."""

    enqueue: float
    started: float


def describe(report: Report, progress: Progress, timing: Timing, heading: Heading) -> Iterator[str]:
    """Yield the lines of the summary. heading: how a heading is written."""
    yield heading(str(report))
    yield from _counts(progress)
    stand_out = summary(report, limit=5)
    yield ""
    yield heading("Most complex functions")
    yield from _ranked(list(stand_out.most_complex))
    yield from _listed(
        heading("Files that do not parse"), [f"{item.path}: {item.error}" for item in stand_out.unparsable]
    )
    yield from _listed(heading("Failed jobs"), [f"{item.file.path}: {item.reason}" for item in failures(report, 5)])
    yield ""
    yield heading("Time")
    yield from _times(report, progress, timing)
    yield from (f"  slowest file: {file.path}, {file.seconds * 1_000:.0f} ms" for file in stand_out.slowest[:1])


def _counts(progress: Progress) -> Iterator[str]:
    counts = {
        "files": progress.total,
        "lines": progress.lines,
        "functions": progress.functions,
        "classes": progress.classes,
        "not parsed": progress.unparsable,
        "failed jobs": progress.failed,
    }
    yield from (f"  {name:<12}{count:>10,}" for name, count in counts.items())


def _ranked(files: list[SourceFile]) -> Iterator[str]:
    width = max((len(file.most_complex) for file in files), default=0)
    for file in files:
        yield f"  {file.complexity:>4}  {file.most_complex:<{width}}  {file.path}:{file.most_complex_line}"


def _listed(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield from ("", title, *(f"  {line}" for line in lines))


def _times(report: Report, progress: Progress, timing: Timing) -> Iterator[str]:
    first_at = report.files.aggregate(moment=Min("finished_at"))["moment"]
    if first_at is None or progress.last_at is None:
        return
    seconds = progress.last_at.timestamp() - timing.started
    rate = progress.analysed / seconds
    yield f"  {seconds:.1f} s from the worker's start to the last result: {rate:,.0f} jobs a second"
    yield f"  {timing.enqueue:.2f} s to enqueue {progress.total:,} jobs"
    yield f"  {first_at.timestamp() - timing.started:.2f} s until the first result"
