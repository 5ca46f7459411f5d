"""The entries of Job.errors, and the errors that they stand for."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import format_exception
from types import TracebackType
from typing import Any

from ..exceptions import (
    JobLost,
    MemoryLimitExceeded,
    SoftCancel,
    SoftTimeout,
    TaskCancelled,
    TasksQError,
    TaskTimeout,
)
from ..tracebacks import error_group, frames_of
from .rows import JobRow

__all__ = ["error_entry", "gone_error", "make_entry", "summary", "to_moment"]

KINDS = {SoftTimeout: "soft_timeout", SoftCancel: "cancelled"}
GONE = {kind.__name__: kind for kind in (JobLost, MemoryLimitExceeded, TaskTimeout, TaskCancelled)}
WORKER = f"{Path(__file__).parent}{os.sep}"


def error_entry(
    row: JobRow,
    error: BaseException,
    started_at: float,
    finished_at: float,
    longest: int,
    kind: str = "error",
) -> str:
    """Return an entry of Job.errors as JSON. A traceback keeps its beginning and its end."""
    traceback = _of_the_task(error.__traceback__)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    try:
        text = "".join(format_exception(type(error), error, traceback))
    except BaseException as trouble:  # Its own code is run, which may raise anything.
        text = f"{type(error).__name__} (it cannot be shown: {type(trouble).__name__})\n"
    return make_entry(
        exception=name,
        group=error_group(name, frames_of(traceback)),
        traceback=_shorten(text, longest),
        worker=row.worker_id,
        attempt=row.attempt,
        kind=next((name for of, name in KINDS.items() if isinstance(error, of)), kind),
        started_at=to_moment(started_at + row.clock).isoformat(),
        finished_at=to_moment(finished_at + row.clock).isoformat(),
    )


def _of_the_task(traceback: TracebackType | None) -> TracebackType | None:
    """Leave out the frames above the task's own, which say nothing of it; all of them where there is no other."""
    inner = traceback
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(WORKER):
        inner = inner.tb_next
    return inner or traceback


def make_entry(**fields: Any) -> str:
    """Return an entry of Job.errors as JSON that every database takes."""
    # Escaped to ASCII, so that lone surrogates do no harm, and without U+0000, which PostgreSQL refuses.
    return json.dumps(fields).replace("\\u0000", "\\ufffd")


def gone_error(entry: Mapping[str, str]) -> TasksQError:
    """Return the error of an entry that was made for a process that is gone, or for one that could not say so."""
    name, _, text = entry["traceback"].partition(": ")
    kind = GONE.get(name.rpartition(".")[2])
    return (
        kind(text.strip())
        if kind
        else TaskCancelled(f"The job was cancelled after it had failed: {entry['exception']}")
    )


def _shorten(text: str, longest: int) -> str:
    text = text.encode("utf-8", "replace").decode()
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def summary(error: BaseException) -> str:
    try:
        lines = str(error).strip().splitlines()
    except BaseException:  # As above.
        lines = []
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:500]


def to_moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
