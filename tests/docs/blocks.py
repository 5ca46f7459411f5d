"""The fenced blocks of the README and the documentation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "blocks", "page_name"]

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)]
FENCE = re.compile(
    r"^(?P<indent> *)(?P<fence>`{3,})(?P<language>[^\s`]*)[^\n`]*\n(?P<code>.*?)^(?P=indent)(?P=fence)$", re.M | re.S
)
HEADING = re.compile(r"^#{1,4} (.*)$", re.M)
# A comment before a block says that the block is to be executed; readers do not see it.
RUN = "<!-- run -->"
FILE = re.compile(r"# ([\w./-]+\.py)\b.*\n")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, in what language, under which heading, and whether it is to be executed."""

    page: Path
    line: int
    language: str
    code: str
    heading: str
    runs: bool

    def __str__(self) -> str:
        return f"{page_name(self.page)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block belongs in, which its first line names."""
        named = FILE.match(self.code)
        return named[1] if named else None


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """Return the blocks of a page, in order."""
    return tuple(_find(page))


def page_name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _find(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for found in FENCE.finditer(text):
        before = text[: found.start()]
        headings = HEADING.findall(FENCE.sub("", before))
        indent = len(found["indent"])
        yield Block(
            page=page,
            line=before.count("\n") + 1,
            language=found["language"],
            code="".join(line[indent:] for line in found["code"].splitlines(keepends=True)),
            heading=headings[-1] if headings else "",
            runs=before.rstrip().endswith(RUN),
        )
