from argparse import ArgumentTypeError

from django.core.management.base import CommandParser

from ...lifecycle import JobStatus, ResultStatus
from ...models import Job, Result
from ...monitoring.jobs import list_jobs
from ..terminal import moment, table, to_count
from .base import Answer, Arguments, Verb, choice

__all__ = ["List"]

HEADERS = ("Id", "Status", "Queue", "Task", ">Attempt", "Enqueued", "Finished")
SHOWN = (
    "id", "status", "backend", "queue_name", "priority", "task_path", "attempt", "worker_id", "run_after",
    "enqueued_at", "started_at", "last_attempted_at", "reason",
)  # fmt: skip


class List(Verb):
    name = "list"
    help = "List jobs and results, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        statuses = [*JobStatus.values, *ResultStatus.values]
        parser.add_argument(
            "--status",
            action="append",
            default=[],
            metavar="STATUS",
            help=f"Only this status, of {', '.join(statuses)}; may be repeated.",
            **choice(statuses),
        )
        parser.add_argument("--queue", metavar="NAME", help="Only this queue.")
        parser.add_argument("--task", metavar="PATH", help="Only this task: its whole dotted path.")
        parser.add_argument("--retried", action="store_true", help="Only those that have run more than once.")
        parser.add_argument(
            "--metadata", action="append", default=[], metavar="KEY=VALUE", type=_pair,
            help="Only those with this metadata; may be repeated.",
        )  # fmt: skip
        parser.add_argument("--limit", type=to_count, default=20, metavar="N", help="At most this many (default: 20).")

    def run(self, backend: str, given: Arguments) -> Answer:
        rows = list_jobs(
            backend=backend,
            statuses=given["status"],
            queue=given["queue"],
            task=given["task"],
            metadata=dict(given["metadata"]),
            retried=given["retried"],
            limit=given["limit"],
        )
        text = table(HEADERS, [_row(row) for row in rows]) if rows else "No jobs found."
        return Answer([_document(row) for row in rows], text)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _row(row: Job | Result) -> tuple[object, ...]:
    finished = moment(getattr(row, "finished_at", None)) or "-"
    return (row.id, row.status, row.queue_name, row.task_path, row.attempt, moment(row.enqueued_at), finished)


def _document(row: Job | Result) -> dict[str, object]:
    return {name: getattr(row, name) for name in SHOWN} | {"finished_at": getattr(row, "finished_at", None)}
