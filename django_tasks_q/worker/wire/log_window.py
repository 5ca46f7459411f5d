"""Which lines of a run are kept if there are too many: the first ones and the last ones."""

import json
from collections import deque
from collections.abc import Iterable

__all__ = ["Line", "LogWindow", "dump_lines", "gap"]

# Seconds since 1970 on the database's clock, level, logger, message.
Line = tuple[float, str, str, str]
# Bytes of a line in addition to its text.
OVERHEAD = 40


class LogWindow:
    """Keeps the first lines up to half of the bytes, and the last of the others in the other half.

    left_out: how many lines there were between head and tail.
    """

    def __init__(self, most: int) -> None:
        self._half = most // 2
        self._room = self._half
        self._tail_size = 0
        self.head: list[Line] = []
        self.tail: deque[Line] = deque()
        self.left_out = 0

    def __bool__(self) -> bool:
        return bool(self.head or self.tail or self.left_out)

    def add(self, line: Line) -> int:
        """Take a line; return its size in bytes."""
        size = _size(line)
        if size <= self._room:
            self._room -= size
            self.head.append(line)
            return size
        # Later lines must not come before this one.
        self._room = -1
        self.tail.append(line)
        self._tail_size += size
        while self._tail_size > self._half:
            self._tail_size -= _size(self.tail.popleft())
            self.left_out += 1
        return size

    def skip(self, count: int) -> None:
        """Note that this many lines are missing here: what follows belongs to the end."""
        self._room = -1
        self.left_out += count + len(self.tail)
        self.tail.clear()
        self._tail_size = 0

    def take_head(self) -> list[Line]:
        """Return the first lines, once: they still use up their room."""
        taken, self.head = self.head, []
        return taken

    def take_tail(self) -> list[Line]:
        """Return the last lines, and before them one that says how many are missing."""
        taken = [*self.tail]
        if self.left_out:
            taken.insert(0, gap(self.left_out, self.tail[0][0] if self.tail else 0.0))
        self.tail.clear()
        self.left_out = self._tail_size = 0
        return taken


def gap(count: int, at: float) -> Line:
    """Return the line that says how many others are missing."""
    return at, "", "", f"… {count:,} lines left out …"


def dump_lines(lines: Iterable[Line]) -> str:
    """Return lines as JSON that every database accepts, with any character set."""
    return json.dumps([*lines])


def _size(line: Line) -> int:
    _, level, name, message = line
    return OVERHEAD + len(level) + len(name) + len(message.encode())
