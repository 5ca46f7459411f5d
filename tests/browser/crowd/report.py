"""What was seen of each page, as a table, and what is wrong with it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import median

__all__ = ["LIMIT", "Look", "Sight", "faults", "table"]

# Milliseconds that the server may take for a page.
LIMIT = 1_000.0


@dataclass(frozen=True, slots=True)
class Look:
    """One answer of the server. total, database: milliseconds."""

    total: float
    database: float
    queries: int


@dataclass(slots=True)
class Sight:
    """A page in every look, or all pages of an action."""

    name: str
    looks: list[Look] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        return median(look.total for look in self.looks)


def faults(sights: Iterable[Sight]) -> Iterator[str]:
    """Yield what is wrong."""
    for sight in sights:
        yield from (f"{sight.name}: {complaint}" for complaint in sight.complaints)
        if not sight.looks:
            yield f"{sight.name}: the server told no time"
        elif sight.total > LIMIT:
            yield f"{sight.name}: the server took {sight.total:,.0f} ms"


def table(sights: Iterable[Sight]) -> str:
    """Return the figures in Markdown: the middle of the looks at a page, and the longest."""
    head = ("Page", "Server (ms)", "Longest (ms)", "Database (ms)", "Queries")
    lines = [f"| {' | '.join(head)} |", "| --- | ---: | ---: | ---: | ---: |"]
    return "\n".join([*lines, *(_line(sight) for sight in sights if sight.looks)])


def _line(sight: Sight) -> str:
    database = median(look.database for look in sight.looks)
    figures = (sight.total, max(look.total for look in sight.looks), database)
    queries = max(look.queries for look in sight.looks)
    return f"| {sight.name} | {' | '.join(f'{figure:,.0f}' for figure in figures)} | {queries} |"
