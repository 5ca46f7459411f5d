import json
from collections.abc import Iterator
from datetime import datetime

from django.core.management.base import CommandError, CommandParser

from ...exceptions import JobNotFound
from ...models import Job, Result
from ...monitoring.formatting import progress_text
from ...monitoring.job_logs import LoggedAttempt, LoggedLine, find_lines
from ...monitoring.jobs import find, why
from ...results import progress_of
from ..terminal import ago, block, line, moment, pairs
from .base import Answer, Arguments, Verb

__all__ = ["Show"]

LONGEST_LINE = 100
PAYLOADS = {
    "args": "Arguments",
    "kwargs": "Keyword arguments",
    "options": "Options",
    "metadata": "Metadata",
    "return_value": "Return value",
}


class Show(Verb):
    name = "show"
    help = "Show everything about one job or result, and why a job is not running."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="The id of a job.")
        parser.add_argument("--logs", action="store_true", help="Show what its task has logged, too.")

    def run(self, backend: str, given: Arguments) -> Answer:
        try:
            row = find(given["id"], backend)
        except JobNotFound as error:
            raise CommandError(line(error)) from None
        reason = why(row) if isinstance(row, Job) else None
        document = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
        document |= {"why": reason}
        sections = [*_sections(row, reason)]
        if given["logs"]:
            runs = find_lines(row)[::-1]
            document["logs"] = [{"attempt": run.number} | line._asdict() for run in runs for line in run.lines]
            sections += map(_log, runs)
        return Answer(document, "\n\n".join(sections))


def _sections(row: Job | Result, reason: str | None) -> Iterator[str]:
    yield pairs(_facts(row, reason))
    for name, title in PAYLOADS.items():
        value = getattr(row, name, None)
        if value or name == "args" or (name == "return_value" and row.status == "SUCCESSFUL"):
            yield f"{title}\n{block(_json(value))}"
    yield from (_error(entry) for entry in row.errors)


def _json(value: object) -> str:
    """Return JSON on one line where it fits, else indented."""
    short = json.dumps(value, ensure_ascii=False)
    return short if len(short) <= LONGEST_LINE else json.dumps(value, indent=2, ensure_ascii=False)


def _facts(row: Job | Result, reason: str | None) -> list[tuple[str, object]]:
    finished = getattr(row, "finished_at", None)
    return [
        ("Id", row.id),
        ("Task", row.task_path),
        ("Status", row.status),
        ("Why", reason),
        ("Reason", row.reason if reason is None else None),
        ("Progress", _progress(row)),
        ("Queue", row.queue_name),
        ("Priority", row.priority),
        ("Backend", row.backend),
        ("Attempts", f"{row.attempt} ({row.failures} failed, {row.losses} lost with their process)"),
        ("Worker", row.worker_id),
        ("Enqueued", moment(row.enqueued_at)),
        ("Run after", moment(row.run_after)),
        ("Due", moment(getattr(row, "due_at", None))),
        ("First started", moment(row.started_at)),
        ("Last started", moment(row.last_attempted_at)),
        ("Finished", moment(finished)),
        ("Waited", _between(row.enqueued_at, row.started_at)),
        ("Last run took", _between(row.last_attempted_at, finished)),
    ]


def _progress(row: Job | Result) -> str:
    said = progress_of(row)
    return f"{progress_text(said)}, at {moment(said.at)}" if said else ""


def _between(start: datetime | None, end: datetime | None) -> str:
    return ago(max(0.0, (end - start).total_seconds())) if start and end else ""


def _error(entry: dict[str, object]) -> str:
    title = f"Attempt {entry.get('attempt', '?')} on worker {entry.get('worker', '?')}: {entry.get('exception', '?')}"
    times = pairs([("Started", entry.get("started_at")), ("Finished", entry.get("finished_at"))])
    parts = [line(title), block(times), block(str(entry.get("traceback") or ""))]
    return "\n".join(part for part in parts if part)


def _log(run: LoggedAttempt) -> str:
    before = "" if run.is_whole else " (there is more before this)"
    return "\n".join([f"Log of attempt {run.number}{before}", *(block(_line(each)) for each in run.lines)])


def _line(each: LoggedLine) -> str:
    names = [moment(each.at), each.level, f"{each.logger}:" if each.logger else ""]
    return " ".join([*filter(None, names), each.message])
