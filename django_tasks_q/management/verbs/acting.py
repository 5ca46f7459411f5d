import sys
from typing import Any

from django.core.management.base import CommandParser

from ...control import jobs
from ...exceptions import JobNotFound
from ...lifecycle import JobStatus
from ...models import Job, Result
from ...monitoring.jobs import count_jobs, find
from ..terminal import counted, line, to_count
from .base import Answer, Verb

__all__ = ["Cancel", "Retry"]

BY = "manage.py tasks cancel"
RUNNING = "is RUNNING, and a running job cannot be cancelled yet"
CHANGED = "changed at this very moment: look again"


class Retry(Verb):
    name = "retry"
    help = "Make finished jobs ready again, under their old ids."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="The ids of finished jobs.")
        parser.add_argument("--all-failed", action="store_true", help="All that have failed, instead of ids.")
        parser.add_argument("--task", metavar="PATH", help="With --all-failed: only of this task, its dotted path.")
        parser.add_argument("--queue", metavar="NAME", help="With --all-failed: only of this queue.")
        parser.add_argument("--limit", type=to_count, metavar="N", help="With --all-failed: at most so many.")

    def run(self, backend: str, given: dict[str, Any]) -> Answer:
        filters = {name: given[name] for name in ("task", "queue", "limit") if given[name] is not None}
        if given["all_failed"] == bool(given["ids"]):
            self.refuse("give ids, or --all-failed")
        if filters and not given["all_failed"]:
            self.refuse("--task, --queue and --limit go with --all-failed")
        if given["all_failed"]:
            return _counted("Retried", jobs.retry_failed(backend=backend, **filters))
        rows, refused = _find_all(given["ids"], backend)
        done = jobs.retry([row.id for row in rows if isinstance(row, Result)], backend=backend)
        refused |= {str(row.id): f"{row.id} {_why_not_retried(row)}." for row in rows if row.id not in done}
        return _counted("Retried", len(done), refused)


class Cancel(Verb):
    name = "cancel"
    help = "Cancel jobs that have not started."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="The ids of jobs.")
        parser.add_argument("--queue", metavar="NAME", help="All of this queue, instead of ids.")
        parser.add_argument("--task", metavar="PATH", help="All of this task, its dotted path, instead of ids.")
        parser.add_argument("--yes", action="store_true", help="Do not ask before --queue or --task cancels.")

    def run(self, backend: str, given: dict[str, Any]) -> Answer:
        filters = {name: given[name] for name in ("queue", "task") if given[name] is not None}
        if bool(filters) == bool(given["ids"]):
            self.refuse("give ids, or --queue or --task")
        if filters:
            return self._cancel_matching(backend, filters, sure=given["yes"])
        rows, refused = _find_all(given["ids"], backend)
        done = jobs.cancel([row.id for row in rows if isinstance(row, Job)], backend=backend, by=BY)
        refused |= {str(row.id): f"{row.id} {_why_not_cancelled(row)}." for row in rows if row.id not in done}
        return _counted("Cancelled", len(done), refused)

    def _cancel_matching(self, backend: str, filters: dict[str, str], *, sure: bool) -> Answer:
        matching = count_jobs(backend=backend, statuses=jobs.CANCELLABLE, **filters)
        wanted = sure or not matching or self._confirm(f"Cancel {counted(matching, 'job')} of {_described(filters)}?")
        cancelled = jobs.cancel_matching(backend=backend, by=BY, **filters) if wanted else 0
        running = count_jobs(backend=backend, statuses=[JobStatus.RUNNING], **filters)
        answer = _counted("Cancelled", cancelled)
        note = f"\nNot cancelled: {running} that run; a running job cannot be cancelled yet." if running else ""
        return Answer(answer.document | {"running": running.number}, answer.text + note, answer.ok)

    def _confirm(self, question: str) -> bool:
        # Not on stdout, which a program may read.
        sys.stderr.write(f"{line(question)} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer:
            sys.stderr.write("\n")
            self.refuse("nobody answers: give --yes to cancel without a question")
        return answer.strip().lower() in {"y", "yes"}


def _find_all(ids: list[str], backend: str) -> tuple[list[Job | Result], dict[str, str]]:
    """Return the rows with these ids, and for each id without one, why there is none."""
    rows: dict[Any, Job | Result] = {}
    missing: dict[str, str] = {}
    for given in ids:
        try:
            row = find(given, backend)
        except JobNotFound as error:
            missing[given] = str(error)
        else:
            rows[row.id] = row
    return list(rows.values()), missing


def _why_not_retried(row: Job | Result) -> str:
    return CHANGED if isinstance(row, Result) else f"is {row.status}, and only what has finished can be retried"


def _why_not_cancelled(row: Job | Result) -> str:
    if isinstance(row, Result):
        return f"has finished already: it is {row.status}"
    return RUNNING if row.status == JobStatus.RUNNING else CHANGED


def _described(filters: dict[str, str]) -> str:
    return " and ".join(f'{name} "{value}"' for name, value in filters.items())


def _counted(done: str, number: int, refused: dict[str, str] | None = None) -> Answer:
    """Say to how many it was done, and to which not, and why: one of those is enough for the exit code 1."""
    refused = refused or {}
    lines = [f"{done} {counted(number, 'job')}.", *(line(f"Not {done.lower()}: {why}") for why in refused.values())]
    document = {done.lower(): number, "refused": [{"id": job_id, "why": why} for job_id, why in refused.items()]}
    return Answer(document, "\n".join(lines), ok=number > 0 and not refused)
