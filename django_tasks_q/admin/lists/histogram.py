"""The bars above a list: how many rows there are over time, by status. Each links to the rows of that time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.admin.views.main import ChangeList
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ...lifecycle import JobStatus, ResultStatus
from ...models import Job, Result
from ...monitoring.counts import Count
from ...monitoring.histogram import MOST_JOBS, Bar, job_histogram, result_histogram
from ..backends import aliases_in
from ..display import counted
from .periods import PeriodFilter, period_text, range_text

__all__ = ["Histogram", "histogram_of"]

# In units of the SVG.
HEIGHT, WIDTH, GAP, LEAST = 64, 12, 2, 2
# From the bottom up: first what is rare, and what operators look for.
STACK = (
    ResultStatus.FAILED, ResultStatus.CANCELLED, ResultStatus.SUCCESSFUL,
    JobStatus.RUNNING, JobStatus.WAITING, JobStatus.SCHEDULED, JobStatus.READY,
)  # fmt: skip
LABELS: dict[str, object] = {status.value: status.label for status in STACK}
DEFAULT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Column:
    """One bar as drawn: its parts are class, y and height."""

    url: str
    x: int
    text: str
    parts: list[tuple[str, float, float]]
    numbers: list[str]
    time: str


@dataclass(frozen=True, slots=True)
class Histogram:
    title: str
    columns: list[Column]
    statuses: list[tuple[str, object]]
    start: str
    end: str
    most: str
    note: str
    periods: list[tuple[str, object, bool]]

    @property
    def width(self) -> int:
        return len(self.columns) * WIDTH

    height = HEIGHT
    bar_width = WIDTH - GAP


def histogram_of(changelist: ChangeList, kind: type[PeriodFilter]) -> Histogram | None:
    """Return the bars above a list. kind: the filter that they set; they show its span."""
    chosen = next((spec for spec in changelist.filter_specs if isinstance(spec, kind)), None)
    using = changelist.root_queryset.db
    if chosen is None or not aliases_in(using):
        return None
    now = datetime.now(UTC)
    start, end = chosen.period() or (now - DEFAULT, now)
    if changelist.model is Result:
        bars = result_histogram(aliases_in(using)[0], start, end)
        return _drawn(changelist, chosen, bars, _("Results by finish time"))
    bars, is_complete = job_histogram(Job.objects.using(using), start, end)
    note = "" if is_complete else _("Based on the newest %s jobs.") % number_format(MOST_JOBS, force_grouping=True)
    return _drawn(changelist, chosen, bars, _("Live jobs by enqueue time"), note)


def _drawn(changelist: ChangeList, chosen: PeriodFilter, bars: Sequence[Bar], title: str, note: str = "") -> Histogram:
    most = max([1, *(sum(int(number) for number in bar.counts.values()) for bar in bars)])
    shown = [status for status in STACK if status in bars[0].counts]
    name = str(chosen.parameter_name)

    def link(value: str | None) -> str:
        return str(changelist.get_query_string({name: value}, remove=["p", "older"]))

    columns = [
        Column(
            url=link(range_text(bar.start, bar.end)),
            x=index * WIDTH,
            text=_text(bar, shown),
            parts=list(_parts(bar, shown, most)),
            numbers=[counted(bar.counts[status]) for status in shown],
            time=period_text(bar.start, bar.end),
        )
        for index, bar in enumerate(bars)
    ]
    periods = [(link(age), label, chosen.value() == age) for age, (_age, label) in chosen.ages.items()]
    return Histogram(
        title=title,
        columns=columns,
        statuses=[(status.lower(), LABELS[status]) for status in shown],
        start=_moment(bars[0].start),
        end=_moment(bars[-1].end),
        most=counted(Count(most)),
        note=note,
        periods=[*periods, (link(None), _("Any time"), chosen.value() is None)],
    )


def _parts(bar: Bar, shown: Sequence[str], most: int) -> Iterator[tuple[str, float, float]]:
    """Yield the parts of a bar from the bottom up; every part that is not zero is visible, however small."""
    bottom = float(HEIGHT)
    for status in shown:
        number = int(bar.counts[status])
        if not number:
            continue
        height = min(max(float(LEAST), number / most * HEIGHT), bottom)
        bottom -= height
        yield status.lower(), round(bottom, 1), round(height, 1)


def _text(bar: Bar, shown: Sequence[str]) -> str:
    counts = [f"{LABELS[status]} {counted(bar.counts[status])}" for status in shown if bar.counts[status]]
    return f"{period_text(bar.start, bar.end)}: {', '.join(counts) or _('nothing')}"


def _moment(value: datetime) -> str:
    return f"{timezone.localtime(value):%Y-%m-%d %H:%M}"
