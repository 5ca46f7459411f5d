"""A progress bar where rich is installed and someone watches, else a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.util import find_spec

from django.core.management.base import OutputWrapper

from ..reports import Progress

__all__ = ["show_progress"]

Show = Callable[[Progress], None]
SECONDS_BETWEEN_LINES = 2.0


def show_progress(stream: OutputWrapper, what: str) -> AbstractContextManager[Show]:
    """Return a context that gives a function to call with each progress."""
    return _bar(what) if stream.isatty() and find_spec("rich") else _lines(stream, what)


@contextmanager
def _bar(what: str) -> Iterator[Show]:
    rich = import_module("rich.progress")
    columns = [
        rich.TextColumn("{task.description}"),
        rich.BarColumn(bar_width=None),
        rich.MofNCompleteColumn(),
        rich.TextColumn("[dim]{task.fields[rate]:.0f} a second"),
        rich.TimeElapsedColumn(),
    ]
    with rich.Progress(*columns) as bar:
        task = bar.add_task(what, total=None, rate=0)
        yield lambda progress: bar.update(task, completed=progress.finished, total=progress.total, rate=progress.rate)


@contextmanager
def _lines(stream: OutputWrapper, what: str) -> Iterator[Show]:
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if progress.is_finished or time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            stream.write(f"{what}: {progress.finished:,} of {progress.total:,} files ({progress.percent} %)")
            stream.flush()

    yield show
