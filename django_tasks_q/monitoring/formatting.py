"""Datetimes and durations as text, for people."""

from collections.abc import Callable
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from ..results import Progress

__all__ = ["duration_text", "moment_text", "number_text", "progress_text"]

UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


def moment_text(moment: datetime) -> str:
    """Return a datetime in the project's time zone, to the second."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    return local.isoformat(" ", "seconds")


def number_text(number: float) -> str:
    """Return a number in English format: 1,204."""
    return f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"


def progress_text(progress: Progress, written: Callable[[float], str] = number_text) -> str:
    """Return a task's progress: 30 of 100 (30 %), with its message. written: formats a number."""
    text = written(progress.done)
    if progress.total is not None:
        text = _("%(done)s of %(total)s") % {"done": text, "total": written(progress.total)}
        if progress.total > 0:
            text += f" ({100 * progress.done / progress.total:.0f} %)"
    return f"{text}, {progress.message}" if progress.message else text


def duration_text(seconds: float) -> str:
    """Return a duration, in its two largest units: 3 d 4 h, 12 min 5 s, 8.25 s, 12 ms."""
    if seconds < 1:
        return f"{seconds * 1_000:.0f} ms"
    whole = round(seconds)
    for unit, name, smaller, smaller_name in UNITS:
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit:,} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{seconds:.3g} s"
