"""The entries of Job.errors, and the errors that they represent."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from traceback import format_exception
from types import TracebackType

from ...brokers.outcomes import ERRORS
from ...exceptions import (
    PayloadTooLarge,
    Retry,
    SoftCancel,
    SoftTimeout,
    TaskCancelled,
    TasksQError,
    UndecodableBytes,
    UnserializableError,
)
from ...lifecycle import Ending
from ...moments import utc_after
from ...payloads import clean_text
from ...tracebacks import error_group, frames_of
from ..wire.jobs import JobRow

__all__ = ["error_entry", "gone_error", "make_entry", "refusal", "summary"]

KINDS = {SoftTimeout: Ending.SOFT_TIMEOUT, SoftCancel: Ending.CANCELLED}
# The errors of dead processes, by how their entries name them.
GONE = {(ending.kind, f"{error.__module__}.{error.__qualname__}"): error for ending, error in ERRORS.items()}
WORKER = f"{Path(__file__).parent}{os.sep}"


def error_entry(
    row: JobRow,
    error: BaseException,
    started_at: float,
    finished_at: float,
    longest: int,
    ending: Ending = Ending.ERROR,
) -> str:
    """Return an entry of Job.errors as JSON. A traceback keeps its beginning and its end.

    ending: how the run ended, unless the error says so.
    """
    traceback = _of_the_task(error.__traceback__)
    named = _named(error)
    name = f"{named.__module__}.{named.__qualname__}"
    try:
        text = "".join(format_exception(type(error), error, traceback))
    except BaseException as trouble:  # This runs the error's own code, which may raise anything.
        text = f"{type(error).__name__} (it cannot be shown: {type(trouble).__name__})\n"
    return make_entry(
        exception=name,
        group=error_group(name, frames_of(traceback)),
        traceback=_shorten(text, longest),
        worker=row.worker_id,
        attempt=row.attempt,
        kind=next((known for of, known in KINDS.items() if isinstance(error, of)), ending).kind,
        started_at=utc_after(started_at + row.clock).isoformat(),
        finished_at=utc_after(finished_at + row.clock).isoformat(),
    )


def _named(error: BaseException) -> type[BaseException]:
    """Return the class that a result names for an error; see UnserializableError."""
    if not isinstance(error, UnserializableError) or not error.is_returned or isinstance(error, PayloadTooLarge):
        return type(error)
    return ValueError if isinstance(error, UndecodableBytes) else TypeError


def _of_the_task(traceback: TracebackType | None) -> TracebackType | None:
    """Leave out the frames above the task's own, which say nothing about it; all frames if there are no others."""
    inner = traceback
    while inner is not None and inner.tb_frame.f_code.co_filename.startswith(WORKER):
        inner = inner.tb_next
    return inner or traceback


def make_entry(**fields: object) -> str:
    """Return an entry of Job.errors as JSON that every database accepts."""
    # Escaped to ASCII, so that lone surrogates do no harm, and without U+0000, which PostgreSQL refuses.
    return json.dumps(fields).replace("\\u0000", "\\ufffd")


def gone_error(entry: Mapping[str, str]) -> TasksQError:
    """Return the error for an entry that was made for a dead process, or for one that could not announce it."""
    name = entry["exception"]
    kind = GONE.get((entry["kind"], name))
    if kind is None:
        return TaskCancelled(f"The job was cancelled after it had failed: {name}")
    return kind(entry["traceback"].removeprefix(f"{name}: ").strip())


def refusal(refused: TypeError, retry: Retry) -> TypeError:
    """Return the error of a job that fails because the arguments of its Retry are refused; it points to the raise."""
    error = type(refused)(f"Retry() with new arguments: {refused}").with_traceback(retry.__traceback__)
    # Its text says everything: the traceback is shorter without the Retry.
    error.__suppress_context__ = True
    return error


def _shorten(text: str, longest: int) -> str:
    text = clean_text(text)
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n… {len(text) - 2 * half:,} characters left out …\n{text[-half:]}"


def summary(error: BaseException, note: str = "", *, named: bool = True) -> str:
    """Return the first line of an error and a note, cut to the length of the reason column.

    named: begin with the name of the error's class.
    """
    try:
        lines = str(error).strip().splitlines()
    except BaseException:  # As above.
        lines = []
    name = type(error).__name__
    text = (f"{name}: {lines[0]}" if named else lines[0]) if lines else name
    return clean_text(text)[: 500 - len(note)] + note
