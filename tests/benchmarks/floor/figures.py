"""What one measurement found."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Figure", "Span"]

MICROSECONDS, MILLISECONDS = 1_000_000, 1_000


@dataclass(frozen=True, slots=True)
class Span:
    """What a measurement took, in seconds: of the wall clock, of the machine standing still, and of CPU.

    database: None where the server is on another machine, or has no part in it.
    """

    wall: float
    still: float
    client: float
    database: float | None


@dataclass(frozen=True, slots=True)
class Figure:
    """What so many units (jobs, rows, round trips) took.

    rate: units a second of the wall clock. effective_rate: units a second in which the machine did not stand still.
    client_cpu, database_cpu: µs of CPU a unit; the latter None where the server is elsewhere or has no part in it.
    p50, p95, p99: milliseconds that one unit took; None where units are done together.
    """

    name: str
    units: int
    rate: float
    effective_rate: float
    client_cpu: float
    database_cpu: float | None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None

    @classmethod
    def of(cls, name: str, units: int, span: Span, durations: Sequence[float]) -> "Figure":
        """durations: the seconds that each operation took, of one unit or more."""
        if not units:
            raise ValueError(f"{name}: nothing was done in {span.wall:.1f} s. Measure for longer.")
        ordered = sorted(durations) if len(durations) == units else []
        return cls(
            name,
            units,
            units / span.wall,
            units / max(span.wall - span.still, 1e-9),
            span.client / units * MICROSECONDS,
            None if span.database is None else span.database / units * MICROSECONDS,
            *(_percentile(ordered, percent) for percent in (50, 95, 99)),
        )


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Return milliseconds: the smallest value that is not exceeded by so many per cent."""
    if not ordered:
        return None
    return ordered[-(-len(ordered) * percent // 100) - 1] * MILLISECONDS
