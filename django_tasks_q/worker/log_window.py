"""Which lines of a run are kept, where they are more than there is room for: the first ones and the last ones."""

import json
from collections import deque
from collections.abc import Iterable

__all__ = ["Line", "LogWindow", "dump_lines", "gap"]

# Seconds since 1970 on the database's clock, level, logger, message.
Line = tuple[float, str, str, str]
# Bytes of a line beside its text.
OVERHEAD = 40


class LogWindow:
    """Keeps the lines that come until half of so many bytes are full, and of the rest the last half.

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

    def add(self, line: Line) -> None:
        size = _size(line)
        if size <= self._room:
            self._room -= size
            self.head.append(line)
            return
        # What comes later is not to stand before this.
        self._room = -1
        self.tail.append(line)
        self._tail_size += size
        while self._tail_size > self._half:
            self._tail_size -= _size(self.tail.popleft())
            self.left_out += 1

    def skip(self, count: int) -> None:
        """So many lines are missing here: what comes now is of the end."""
        self._room = -1
        self.left_out += count + len(self.tail)
        self.tail.clear()
        self._tail_size = 0

    def take_head(self) -> list[Line]:
        """Return the first lines, once: what is taken uses up their room all the same."""
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
    """Return the line that stands for so many others."""
    return at, "", "", f"… {count:,} lines left out …"


def dump_lines(lines: Iterable[Line]) -> str:
    """Return lines as JSON that every database takes, in whatever character set."""
    return json.dumps([*lines])


def _size(line: Line) -> int:
    _, level, name, message = line
    return OVERHEAD + len(level) + len(name) + len(message.encode())
