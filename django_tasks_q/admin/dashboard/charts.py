"""Charts as SVG: their geometry. The templates draw it, with classes for the colours and no inline style."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ...monitoring.statistics import Point, Span
from ..display import NOTHING, duration

__all__ = ["Chart", "charts"]

WIDTH, HEIGHT = 480, 180
LEFT, RIGHT, TOP, BOTTOM = 52, 6, 8, 24
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
# Seconds at which a time scale may have a line.
ROUND_TIMES = (0.001, 0.01, 0.1, 1, 10, 60, 600, 3_600, 36_000)


@dataclass(frozen=True, slots=True)
class Curve:
    """One kind of values: bars of one colour, or a line. name: the class that the style sheet colours."""

    name: str
    label: str
    value: Callable[[Point], float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. bars: the title and rectangles of each step. lines: each a name and the path of its segments."""

    name: str
    title: str
    description: str
    curves: Sequence[Curve]
    ticks: Sequence[Mapping[str, object]]
    labels: Sequence[Mapping[str, object]]
    steps: Sequence[Mapping[str, object]]
    lines: Sequence[Mapping[str, object]] = field(default=())
    is_empty: bool = False

    width, height = WIDTH, HEIGHT
    left, right, top = LEFT, WIDTH - RIGHT, TOP
    inner_height, middle = INNER_HEIGHT, LEFT + INNER_WIDTH // 2


def charts(points: Sequence[Point], span: Span) -> list[Chart]:
    """Return the charts of a series: throughput, failures, wait time and run time."""
    successful = Curve("good", _("successful"), lambda point: point.figures.successful)
    failed = Curve("bad", _("failed"), lambda point: point.figures.failed)
    retried = Curve("held", _("retried"), lambda point: point.figures.retried)
    return [
        _bars("finished", _("Finished"), points, span, [successful, failed]),
        _bars("failures", _("Failed and retried"), points, span, [failed, retried]),
        _times("waited", _("Wait time"), points, span, lambda point, share: point.figures.wait_time(share)),
        _times("ran", _("Run time"), points, span, lambda point, share: point.figures.run_time(share)),
    ]


def _bars(name: str, title: str, points: Sequence[Point], span: Span, curves: list[Curve]) -> Chart:
    heights = [[curve.value(point) or 0 for curve in curves] for point in points]
    top = _round_up(max((sum(values) for values in heights), default=0))
    width = INNER_WIDTH / len(points)
    steps = []
    for index, (point, values) in enumerate(zip(points, heights, strict=True)):
        words = ", ".join(f"{value:,.0f} {curve.label}" for curve, value in zip(curves, values, strict=True))
        rectangles = list(_stack(values, curves, top))
        steps.append(_step(index, width, f"{_moment(point.at, span)}: {words}", rectangles))
    sums = [sum(values) for values in zip(*heights, strict=True)]
    description = ", ".join(f"{number:,.0f} {curve.label}" for curve, number in zip(curves, sums, strict=True))
    ticks = [_tick(share, f"{top * share:,.0f}") for share in ((0, 0.5, 1) if top > 1 else (0, 1))]
    return Chart(name, title, description, curves, ticks, _labels(points, span), steps, is_empty=not sum(sums))


def _stack(values: list[float], curves: list[Curve], top: float) -> Iterator[dict[str, object]]:
    below = float(HEIGHT - BOTTOM)
    for value, curve in zip(values, curves, strict=True):
        if value:
            # Every value has to be visible, even one in ten thousand.
            height = max(1.5, INNER_HEIGHT * value / top)
            below -= height
            yield {"name": curve.name, "y": _figure(max(TOP, below)), "height": _figure(height)}


def _times(
    name: str, title: str, points: Sequence[Point], span: Span, value: Callable[[Point, float], float | None]
) -> Chart:
    curves = [
        Curve("busy", _("p50"), lambda point: value(point, 0.5)),
        Curve("held", _("p95"), lambda point: value(point, 0.95)),
    ]
    rows = [[curve.value(point) for curve in curves] for point in points]
    known = [seconds for row in rows for seconds in row if seconds is not None]
    low, high = _time_scale(known)

    def share(seconds: float) -> float:
        return (math.log(max(low, seconds)) - math.log(low)) / (math.log(high) - math.log(low))

    width = INNER_WIDTH / len(points)
    steps = []
    for index, (point, row) in enumerate(zip(points, rows, strict=True)):
        words = ", ".join(f"{curve.label} {duration(seconds)}" for curve, seconds in zip(curves, row, strict=True))
        steps.append(_step(index, width, f"{_moment(point.at, span)}: {words}", []))
    lines = [
        {"name": curve.name, "path": _path([None if row[place] is None else share(row[place] or 0.0) for row in rows])}
        for place, curve in enumerate(curves)
    ]
    ticks = [_tick(share(time), _tick_time(time)) for time in ROUND_TIMES if low <= time <= high]
    description = _("at most %s") % duration(max(known)) if known else NOTHING
    labels = _labels(points, span)
    return Chart(name, title, description, curves, ticks, labels, steps, lines, is_empty=not known)


def _time_scale(known: list[float]) -> tuple[float, float]:
    """Return the round times around the values: at least one step of the scale."""
    lowest, highest = (min(known), max(known)) if known else (0.001, 1.0)
    low = max((time for time in ROUND_TIMES if time <= lowest), default=ROUND_TIMES[0])
    high = min((time for time in ROUND_TIMES if time >= highest), default=ROUND_TIMES[-1])
    return (low, high) if low < high else (low / 10, high)


def _tick_time(seconds: float) -> str:
    if seconds < 1:
        return _("%d ms") % round(seconds * 1_000)
    if seconds < 60:
        return _("%d s") % seconds
    return _("%d min") % (seconds // 60) if seconds < 3_600 else _("%d h") % (seconds // 3_600)


def _path(shares: Sequence[float | None]) -> str:
    """Return the path of a line, with a gap if there is no value; a value between two gaps is a short dash."""
    width, parts, before = INNER_WIDTH / len(shares), [], False
    for index, share in enumerate(shares):
        if share is not None:
            x, y = LEFT + (index + 0.5) * width, TOP + INNER_HEIGHT * (1 - min(1.0, share))
            parts.append(f"{'L' if before else 'M'}{_figure(x)} {_figure(y)}{'' if before else 'h.1'}")
        before = share is not None
    return "".join(parts)


def _step(index: int, width: float, title: str, rectangles: list[dict[str, object]]) -> dict[str, object]:
    gap = width * 0.15
    return {
        "title": title,
        "x": _figure(LEFT + index * width),
        "width": _figure(width),
        "bar_x": _figure(LEFT + index * width + gap),
        "bar_width": _figure(width - 2 * gap),
        "bars": rectangles,
    }


def _tick(share: float, text: str) -> dict[str, object]:
    y = TOP + INNER_HEIGHT * (1 - share)
    return {"y": _figure(y), "text_y": _figure(y + 4), "text": text}


def _labels(points: Sequence[Point], span: Span) -> list[dict[str, str]]:
    """Return the labels below: a time where a quarter of an hour, or of a day, begins; or the days."""
    width = INNER_WIDTH / len(points)
    found = []
    for index, point in enumerate(points):
        local = _local(point.at)
        text = {
            Span.HOUR: date_format(local, "H:i") if local.minute % 15 == 0 else "",
            Span.DAY: date_format(local, "H:i") if local.hour % 6 == 0 and local.minute < 30 else "",
            Span.WEEK: date_format(local, "D j") if local.hour < 3 else "",
        }[span]
        # Not so close to an edge that it would be cut off.
        if text and 0.03 < index / len(points) < 0.95:
            found.append({"x": _figure(LEFT + (index + 0.5) * width), "text": text})
    return found


def _moment(at: datetime, span: Span) -> str:
    return date_format(_local(at), "D H:i" if span == Span.WEEK else "H:i")


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def _round_up(number: float) -> float:
    """Return the next number of one digit and zeros, at least 1, and even if it is not 1."""
    if number <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(number))
    return next(factor * power for factor in (1, 2, 4, 6, 8, 10) if factor * power >= number and factor * power > 1)


def _figure(number: float) -> str:
    """Return a coordinate in SVG's format, whatever the language."""
    return f"{number:.1f}".removesuffix(".0")
