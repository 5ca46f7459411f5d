from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .progress import line
from .samples import Sample

__all__ = ["Bar"]


class Bar:
    """A bar for each scenario, and above it a line for each figure."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.fields[scenario]:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        # Seldom redrawn: it runs on the machine that is measured.
        self._bar = Progress(
            *columns, TextColumn("{task.description}"), console=Console(stderr=True), refresh_per_second=1
        )
        self._task: TaskID | None = None
        self._steps = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.stop()

    def begin(self, scenario: str, steps: int) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=self._steps, description="")
        self._steps = steps
        self._task = self._bar.add_task("", total=steps, scenario=scenario, completed=-1)

    def step(self, what: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, advance=1, description=what)

    def done(self, sample: Sample, unit: str) -> None:
        self._bar.console.print(line(sample, unit), highlight=False)
