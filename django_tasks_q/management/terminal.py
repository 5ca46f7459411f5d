"""Text for a terminal: nothing that a task or a user wrote controls it, or looks like our own output."""

import re
import shlex
import unicodedata
from argparse import ArgumentTypeError
from collections.abc import Iterable, Sequence
from datetime import datetime

from ..monitoring.counts import Count
from ..monitoring.formatting import duration_text, moment_text

__all__ = [
    "ago",
    "block",
    "counted",
    "line",
    "moment",
    "name_list",
    "pairs",
    "printable",
    "size",
    "table",
    "to_count",
    "to_duration",
]

UNITS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
LONGEST_DURATION = 36_500 * 86_400.0


def printable(text: str, keep: str = "\n") -> str:
    """Return the text with every control character written out, as \\x1b for one."""
    return "".join(char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text)


def line(value: object) -> str:
    """Return a value as text of a single line."""
    return printable(str(value), keep="")


def block(text: str, indent: str = "  ") -> str:
    """Return multi-line text, indented, so that no line looks like our own output."""
    return "\n".join(indent + line(each.expandtabs(4)) for each in text.split("\n")).rstrip()


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return aligned columns: those whose header begins with > to the right."""
    right = [header.startswith(">") for header in headers]
    cells = [[header.lstrip(">") for header in headers], *([line(cell) for cell in row] for row in rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    padded = ([*map(_pad, row, widths, right)] for row in cells)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def pairs(values: Iterable[tuple[str, object]]) -> str:
    """Return names and values, with aligned values; those that are None or empty are left out."""
    shown = [(name, line(value)) for name, value in values if value is not None and value != ""]
    width = max((len(name) for name, _ in shown), default=0)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in shown)


def name_list(names: Iterable[str]) -> str:
    """Return names separated by commas, quoted if a shell or a reader would take one for several."""
    return ", ".join(shlex.quote(line(name)) for name in names)


def counted(number: int | Count, noun: str) -> str:
    """Return a number with its noun: 1 job, 1,204 jobs, ~1,204,000 jobs."""
    shown = Count(number) if isinstance(number, int) else number
    return f"{shown} {noun}" if shown == Count(1) else f"{shown} {noun}s"


def moment(value: datetime | None) -> str:
    """Return a datetime in the project's time zone, to the second; an empty text if there is none."""
    return "" if value is None else moment_text(value)


def ago(seconds: float | None) -> str:
    """Return how long something took; an empty text if unknown."""
    return "" if seconds is None else duration_text(seconds)


def size(number: float) -> str:
    """Return bytes in a unit that suits: 512 B, 48.0 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1_024 or unit == "GiB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:,.1f} {unit}"
        number /= 1_024
    raise AssertionError("unreachable")


def to_count(text: str) -> int:
    """Return a whole number from 1 on. Raise ArgumentTypeError."""
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) < 2**31:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def to_duration(text: str) -> float:
    """Return seconds from 90, 30s, 15m, 12h, 7d or 2w. Raise ArgumentTypeError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", text.strip().lower(), re.ASCII)
    if not match or (seconds := float(match[1]) * UNITS[match[2]]) > LONGEST_DURATION:
        raise ArgumentTypeError(f"{text!r} is not a time such as 90 (seconds), 30m, 12h, 7d or 2w")
    return seconds


def _width(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    combining = sum(unicodedata.combining(char) > 0 for char in text)
    return len(text) + wide - combining


def _pad(text: str, width: int, right: bool) -> str:
    blank = " " * (width - _width(text))
    return blank + text if right else text + blank
