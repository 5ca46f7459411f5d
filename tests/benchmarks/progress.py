"""What is shown while it runs: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Protocol

from .samples import Sample

__all__ = ["Plain", "Progress", "shown"]


class Progress(Protocol):
    """Is told what happens."""

    def begin(self, scenario: str, steps: int) -> None: ...
    def step(self, what: str) -> None: ...
    def done(self, sample: Sample, unit: str) -> None: ...


class Plain:
    """One line for each figure."""

    def begin(self, scenario: str, steps: int) -> None:
        self._write(f"{scenario}: {steps} steps")

    def step(self, what: str) -> None:
        pass

    def done(self, sample: Sample, unit: str) -> None:
        self._write(f"  {line(sample, unit)}")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


@contextmanager
def shown() -> Iterator[Progress]:
    """Show progress on stderr."""
    if not sys.stderr.isatty() or not find_spec("rich"):
        yield Plain()
        return
    with import_module("tests.benchmarks.bar").Bar() as bar:
        yield bar


def line(sample: Sample, unit: str) -> str:
    """Return a figure in one line."""
    if sample.error:
        return f"{sample.peer}: {sample.error.strip().splitlines()[-1]}"
    figures = f"{sample.peer}: {sample.figure:,.1f} {unit}, {sample.effective:,.1f} without freezes"
    return figures + (f", {sample.total_cpu:,.0f} ms CPU per 1,000 jobs" if sample.cpu else "")
