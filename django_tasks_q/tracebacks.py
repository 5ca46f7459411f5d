"""What a traceback says: which frames are the project's own, and which failures are alike."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType

__all__ = ["LONGEST_GROUP", "Frame", "Passage", "error_group", "frames_of", "is_own", "split_traceback"]

LONGEST_GROUP = 255
LONGEST_PLACE = 160
# Where installed code lies, on any host that a worker may have run on: packages, the standard library, what is frozen
# into the interpreter, and this package itself.
FOREIGN = re.compile(
    r"^<|[/\\](site|dist)-packages[/\\]|[/\\]lib(64)?[/\\]python3[^/\\]*[/\\]|[/\\]django_tasks_q[/\\]"
)
HEAD = re.compile(r'  File "([^"\n]*)", line (\d+)(?:, in (.*))?$')


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in the code a traceback has been."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        name = "/".join(re.split(r"[/\\]", self.file)[-2:])
        return f"{name}:{self.line} in {self.function}"[-LONGEST_PLACE:]


@dataclass(frozen=True, slots=True)
class Passage:
    """Some lines of a traceback: a frame, own or not, or what stands between (own is None)."""

    text: str
    own: bool | None = None


def is_own(file: str) -> bool:
    """Say whether a file is of the project, not of a package or the standard library."""
    return FOREIGN.search(file) is None


def error_group(exception: str, frames: Iterable[Frame]) -> str:
    """Return a text that is the same for all failures with this exception at the same place.

    The place is the last frame of the project's own code, or the last of all where it has none.
    """
    passed = list(frames)
    place = next((frame for frame in reversed(passed) if is_own(frame.file)), passed[-1] if passed else None)
    where = "" if place is None else f" at {place}"
    text = f"{exception[: LONGEST_GROUP - len(where)]}{where}"
    # No database keeps those.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def frames_of(traceback: TracebackType | None) -> Iterator[Frame]:
    """Yield the frames, the outermost first."""
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield Frame(code.co_filename, traceback.tb_lineno, code.co_name)
        traceback = traceback.tb_next


def split_traceback(text: str) -> list[Passage]:
    """Cut the text of a traceback into frames and what stands between. Joined, they are the text again."""
    passages: list[Passage] = []
    lines: list[str] = []
    own: bool | None = None
    for line in text.splitlines(keepends=True):
        head = HEAD.match(line)
        # The code of a frame is indented; what follows less deep is none of it.
        if head or (own is not None and not line.startswith("    ")):
            passages += _passage(lines, own)
            lines, own = [], is_own(head[1]) if head else None
        lines.append(line)
    return passages + _passage(lines, own)


def _passage(lines: list[str], own: bool | None) -> list[Passage]:
    return [Passage("".join(lines), own)] if lines else []
