import json
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...compat import InvalidTask
from ...control import calls, jobs
from ...lifecycle import JobStatus
from ...models import Job, Result
from ..terminal import line, to_duration
from .acting import CHANGED, ManyJobs, counted_answer, find_all
from .base import Answer, Arguments, Verb

__all__ = ["Enqueue", "Move", "RunNow"]


class RunNow(ManyJobs):
    name = "run-now"
    help = "Make scheduled jobs ready now."

    def run(self, backend: str, given: Arguments) -> Answer:
        filters = self.filters(given)
        if filters:
            return _readied(jobs.run_now_matching(backend=backend, **filters))
        rows, refused = find_all(given["ids"], backend)
        done = jobs.run_now([row.id for row in rows if isinstance(row, Job)], backend=backend)
        refused |= {str(row.id): f"{row.id} {_why_not_readied(row)}." for row in rows if row.id not in done}
        return _readied(len(done), refused)


class Move(ManyJobs):
    name = "move"
    help = "Move jobs that are not running to another queue or priority."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--to-queue", metavar="NAME", help="The queue they go to.")
        parser.add_argument("--priority", type=int, metavar="N", help="Their priority from now on: -100 to 100.")

    def run(self, backend: str, given: Arguments) -> Answer:
        filters = self.filters(given)
        changes = {"to_queue": given["to_queue"], "priority": given["priority"]}
        try:
            if filters:
                return counted_answer("Moved", jobs.move_matching(backend=backend, **filters, **changes))
            rows, refused = find_all(given["ids"], backend)
            done = jobs.move([row.id for row in rows if isinstance(row, Job)], backend=backend, **changes)
        except ValueError as error:
            raise CommandError(line(error), returncode=2) from None
        refused |= {str(row.id): f"{row.id} {_why_not_moved(row)}." for row in rows if row.id not in done}
        return counted_answer("Moved", len(done), refused)


class Enqueue(Verb):
    name = "enqueue"
    help = "Enqueue a call of a task."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("task", metavar="PATH", help="The task: its dotted path.")
        # Under another name than "args", which Django takes away before handle().
        parser.add_argument(
            "--args", dest="call_args", default="[]", metavar="JSON", help="The arguments, a list (default: none)."
        )
        parser.add_argument(
            "--kwargs",
            dest="call_kwargs",
            default="{}",
            metavar="JSON",
            help="Those by name, an object (default: none).",
        )
        parser.add_argument("--queue", metavar="NAME", help="Another queue than the task's.")
        parser.add_argument("--priority", type=int, metavar="N", help="Another priority than the task's.")
        parser.add_argument("--in", dest="delay", type=to_duration, metavar="TIME", help="When: 90, 15m, 12h, 7d.")

    def run(self, backend: str, given: Arguments) -> Answer:
        args, kwargs = self._read("args", list, given), self._read("kwargs", dict, given)
        delay = None if given["delay"] is None else timedelta(seconds=given["delay"])
        place = {"queue": given["queue"], "priority": given["priority"], "run_after": delay}
        try:
            key = calls.enqueue_call(given["task"], args, kwargs, backend=backend, **place)
        except (InvalidTask, TypeError) as error:
            raise CommandError(line(error)) from None
        return Answer({"id": str(key)}, f"Enqueued {key}.")

    def _read(self, name: str, kind: type, given: Arguments) -> Any:
        text = given[f"call_{name}"]
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, kind):
            self.refuse(f"--{name} must be a JSON {'list' if kind is list else 'object'}, not {text:.200}")
        return found


def _readied(number: int, refused: dict[str, str] | None = None) -> Answer:
    return counted_answer("Readied", number, refused, text="Made %s ready.", refusal="Not made ready")


def _why_not_readied(row: Job | Result) -> str:
    changed = isinstance(row, Job) and row.status == JobStatus.SCHEDULED
    return CHANGED if changed else f"is {row.status}, and only what is scheduled can be made ready"


def _why_not_moved(row: Job | Result) -> str:
    changed = isinstance(row, Job) and row.status != JobStatus.RUNNING
    return CHANGED if changed else f"is {row.status}, and only what has not started can be moved"
