"""What was measured: one peer, one round."""

from dataclasses import asdict, dataclass, field
from typing import Any

from .clock import SECOND

__all__ = ["Reading", "Sample", "Span"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A moment in nanoseconds of the monotonic clock, and the CPU seconds until then by whom they went to."""

    at: int
    cpu: dict[str, float]


@dataclass(frozen=True, slots=True)
class Span:
    """What lies between two readings. seconds: wall clock. cpu: seconds, by whom they went to."""

    seconds: float
    frozen: float
    cpu: dict[str, float]

    @classmethod
    def between(cls, before: Reading, after: Reading, *, began: int, ended: int, frozen: float) -> "Span":
        """began, ended: the moments in nanoseconds that count, close to those of the readings."""
        cpu = {part: after.cpu[part] - seconds for part, seconds in before.cpu.items()}
        return cls((ended - began) / SECOND, frozen, cpu)

    @property
    def effective(self) -> float:
        """Seconds in which the machine ran; never 0."""
        return max(self.seconds - self.frozen, 1e-9)

    def cpu_per_thousand(self, jobs: int) -> dict[str, float]:
        """Return milliseconds of CPU for each 1,000 jobs, by whom they went to."""
        return {part: seconds * 1e6 / max(jobs, 1) for part, seconds in self.cpu.items()}


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure in the unit of its scenario, by the wall clock and without freezes; NaN where there is an error.

    cpu: milliseconds for each 1,000 jobs, by whom they went to. details: further figures of the scenario.
    """

    peer: str
    round: int = 0
    figure: float = float("nan")
    effective: float = float("nan")
    jobs: int = 0
    seconds: float = 0.0
    frozen: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def rate(cls, peer: str, jobs: int, span: Span, **details: Any) -> "Sample":
        """Return the sample whose figure is jobs a second."""
        return cls(
            peer,
            figure=jobs / max(span.seconds, 1e-9),
            effective=jobs / span.effective,
            jobs=jobs,
            seconds=span.seconds,
            frozen=span.frozen,
            cpu=span.cpu_per_thousand(jobs),
            details=details,
        )

    @property
    def total_cpu(self) -> float:
        """Milliseconds of CPU of everything involved, for each 1,000 jobs."""
        return sum(self.cpu.values())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
