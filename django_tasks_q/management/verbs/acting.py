import sys
import uuid

from django.core.management.base import CommandParser

from ...control import jobs
from ...exceptions import JobNotFound
from ...lifecycle import JobStatus
from ...models import Job, Result
from ...monitoring.jobs import count_jobs, find
from ..terminal import counted, line, to_count
from .base import Answer, Arguments, Verb

__all__ = ["CHANGED", "Cancel", "ManyJobs", "Retry", "counted_answer", "described", "find_all"]

BY = "manage.py tasks cancel"
CHANGED = "is changing right now: try again"


class Retry(Verb):
    name = "retry"
    help = "Make finished jobs ready again, under their old ids."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="The ids of finished jobs.")
        parser.add_argument("--all-failed", action="store_true", help="All that have failed, instead of ids.")
        parser.add_argument("--task", metavar="PATH", help="With --all-failed: only of this task, its dotted path.")
        parser.add_argument("--queue", metavar="NAME", help="With --all-failed: only of this queue.")
        parser.add_argument("--limit", type=to_count, metavar="N", help="With --all-failed: at most this many.")

    def run(self, backend: str, given: Arguments) -> Answer:
        filters = {name: given[name] for name in ("task", "queue", "limit") if given[name] is not None}
        if given["all_failed"] == bool(given["ids"]):
            self.refuse("give ids, or --all-failed")
        if filters and not given["all_failed"]:
            self.refuse("--task, --queue and --limit go with --all-failed")
        if given["all_failed"]:
            return counted_answer("Retried", jobs.retry_failed(backend=backend, **filters))
        rows, refused = find_all(given["ids"], backend)
        done = jobs.retry([row.id for row in rows if isinstance(row, Result)], backend=backend)
        refused |= {str(row.id): f"{row.id} {_why_not_retried(row)}." for row in rows if row.id not in done}
        return counted_answer("Retried", len(done), refused)


class ManyJobs(Verb):
    """For jobs by their ids, or for all jobs of a queue or a task."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="The ids of jobs.")
        parser.add_argument("--queue", metavar="NAME", help="All of this queue, instead of ids.")
        parser.add_argument("--task", metavar="PATH", help="All of this task, its dotted path, instead of ids.")

    def filters(self, given: Arguments) -> Arguments:
        """Return the queue or task; nothing if ids are given. Refuse both, and neither."""
        filters = {name: given[name] for name in ("queue", "task") if given[name] is not None}
        if bool(filters) == bool(given["ids"]):
            self.refuse("give ids, or --queue or --task")
        return filters


class Cancel(ManyJobs):
    name = "cancel"
    help = "Cancel jobs; running ones are asked to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--running", action="store_true", help="With --queue or --task: also running jobs.")
        parser.add_argument("--yes", action="store_true", help="Do not ask before --queue or --task cancels.")

    def run(self, backend: str, given: Arguments) -> Answer:
        filters = self.filters(given)
        if given["running"] and not filters:
            self.refuse("--running goes with --queue or --task: ids say which jobs are meant")
        if filters:
            return self._cancel_matching(backend, filters, running=given["running"], sure=given["yes"])
        rows, refused = find_all(given["ids"], backend)
        cancelled = jobs.cancel([row.id for row in rows if isinstance(row, Job)], backend=backend, by=BY)
        touched = cancelled.done | cancelled.asked
        refused |= {str(row.id): f"{row.id} {_why_not_cancelled(row)}." for row in rows if row.id not in touched}
        return _cancelled(cancelled, counted_answer("Cancelled", len(cancelled.done), refused))

    def _cancel_matching(self, backend: str, filters: dict[str, str], *, running: bool, sure: bool) -> Answer:
        statuses = [*jobs.CANCELLABLE, JobStatus.RUNNING] if running else jobs.CANCELLABLE
        matching = count_jobs(backend=backend, statuses=statuses, **filters)
        wanted = sure or not matching or self._confirm(f"Cancel {counted(matching, 'job')} of {described(filters)}?")
        cancelled = (
            jobs.cancel_matching(backend=backend, by=BY, running=running, **filters)
            if wanted
            else jobs.Cancelled(set(), set())
        )
        answer = _cancelled(cancelled, counted_answer("Cancelled", len(cancelled.done)))
        left = count_jobs(backend=backend, statuses=[JobStatus.RUNNING], **filters)
        note = f"\nNot cancelled: {left} running; --running cancels those too." if left and not running else ""
        return Answer(answer.document | {"running": left.number}, answer.text + note, answer.ok)

    def _confirm(self, question: str) -> bool:
        # Not on stdout, which a program may read.
        sys.stderr.write(f"{line(question)} [y/N] ")
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer:
            sys.stderr.write("\n")
            self.refuse("there is no terminal to ask: give --yes to cancel without confirmation")
        return answer.strip().lower() in {"y", "yes"}


def find_all(ids: list[str], backend: str) -> tuple[list[Job | Result], dict[str, str]]:
    """Return the rows with these ids, and for each id without one, why there is none."""
    rows: dict[uuid.UUID, Job | Result] = {}
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
    return CHANGED


def _cancelled(cancelled: jobs.Cancelled, answer: Answer) -> Answer:
    """Add how many were asked to stop, which counts as done for the exit code."""
    asked = len(cancelled.asked)
    text = f"{answer.text}\nAsked {counted(asked, 'running job')} to stop." if asked else answer.text
    ok = bool(cancelled.done or asked) and not answer.document.get("refused")
    return Answer(answer.document | {"asked": asked}, text, ok)


def described(filters: dict[str, str]) -> str:
    return " and ".join(f'{name} "{value}"' for name, value in filters.items())


def counted_answer(
    done: str, number: int, refused: dict[str, str] | None = None, *, text: str = "", refusal: str = ""
) -> Answer:
    """Say how many were changed, and which were not, and why: one of those is enough for exit code 1.

    done: the participle. text, refusal: if "Moved 3 jobs." and "Not moved" do not work with it.
    """
    refused = refused or {}
    lines = [(text or f"{done} %s.") % counted(number, "job")]
    lines += [line(f"{refusal or f'Not {done.lower()}'}: {why}") for why in refused.values()]
    document = {done.lower(): number, "refused": [{"id": job_id, "why": why} for job_id, why in refused.items()]}
    return Answer(document, "\n".join(lines), ok=number > 0 and not refused)
