"""Reads tracebacks: which frames are the project's own, and which failures are similar."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType

from .payloads import clean_text

__all__ = ["LONGEST_GROUP", "Frame", "Passage", "error_group", "frames_of", "is_own", "split_traceback"]

LONGEST_GROUP = 255
LONGEST_PLACE = 160
# Paths of installed code, on any host that a worker may have run on: packages, the standard library, what is frozen
# into the interpreter, and this package itself.
FOREIGN = re.compile(
    r"^<|[/\\](site|dist)-packages[/\\]|[/\\]lib(64)?[/\\]python3[^/\\]*[/\\]|[/\\]django_tasks_q[/\\]"
)
HEAD = re.compile(r'  File "([^"\n]*)", line (\d+)(?:, in (.*))?$')


@dataclass(frozen=True, slots=True)
class Frame:
    """One position in the code, from a traceback."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        name = "/".join(re.split(r"[/\\]", self.file)[-2:])
        return f"{name}:{self.line} in {self.function}"[-LONGEST_PLACE:]


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of a traceback: a frame, own or not, or text between frames (own is None)."""

    text: str
    own: bool | None = None


def is_own(file: str) -> bool:
    """Return whether a file belongs to the project, not to a package or the standard library."""
    return FOREIGN.search(file) is None


def error_group(exception: str, frames: Iterable[Frame]) -> str:
    """Return a text that is the same for all failures with this exception at the same location.

    The location is the last frame in the project's own code, or the last frame if there is none.
    """
    passed = list(frames)
    place = next((frame for frame in reversed(passed) if is_own(frame.file)), passed[-1] if passed else None)
    where = "" if place is None else f" at {place}"
    text = f"{exception[: LONGEST_GROUP - len(where)]}{where}"
    return clean_text(text)


def frames_of(traceback: TracebackType | None) -> Iterator[Frame]:
    """Yield the frames, the outermost first."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield Frame(code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next


def split_traceback(text: str) -> list[Passage]:
    """Split a traceback's text into frames and the text between them. Joined, they are the text again."""
    passages: list[Passage] = []
    lines: list[str] = []
    own: bool | None = None
    for line in text.splitlines(keepends=True):
        head = HEAD.match(line)
        # The code of a frame is indented; less indented lines do not belong to it.
        if head or (own is not None and not line.startswith("    ")):
            passages += _passage(lines, own)
            lines, own = [], is_own(head[1]) if head else None
        lines.append(line)
    return passages + _passage(lines, own)


def _passage(lines: list[str], own: bool | None) -> list[Passage]:
    return [Passage("".join(lines), own)] if lines else []
