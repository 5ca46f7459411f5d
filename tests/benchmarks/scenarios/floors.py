"""The floor as a peer: bare SQL, measured in the same rounds."""

from collections.abc import Iterator, Sequence

from .. import floor
from ..laboratory import Laboratory
from ..samples import Sample

__all__ = ["FLOOR", "measure_floor"]

# What the names of its samples begin with.
FLOOR = "floor: "


def measure_floor(lab: Laboratory, names: Sequence[str], *, as_latency: bool) -> Iterator[Sample]:
    """Yield one sample for each measurement of the floor: a rate, or milliseconds."""
    url = lab.server("postgresql").url
    figures = floor.measure(url, names, seconds=lab.options.floor_seconds)
    for name, figure in figures.items():
        yield _sample(f"{FLOOR}{name}", figure, as_latency=as_latency)


def _sample(name: str, figure: floor.Figure, *, as_latency: bool) -> Sample:
    # µs for each are ms for each thousand.
    cpu = {"client": figure.client_cpu, "postgresql": figure.database_cpu or 0.0}
    sample = Sample(name, figure=figure.rate, effective=figure.effective_rate, jobs=figure.units, cpu=cpu)
    if not as_latency or figure.p50 is None:
        return sample
    return Sample(
        name,
        figure=figure.p50,
        effective=figure.p50,
        jobs=figure.units,
        cpu=cpu,
        details={"p95": figure.p95, "p99": figure.p99},
    )
