from django.core.management.base import CommandParser

from ...control.retention import prune
from ...lifecycle import ResultStatus
from ..terminal import counted, to_duration
from .base import Answer, Arguments, Verb, choice

__all__ = ["Prune"]


class Prune(Verb):
    name = "prune"
    help = "Delete old results, in batches. Workers do so automatically; this does it now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=to_duration,
            metavar="TIME",
            help="What finished longer ago than this: 7d, 12h, 30m or seconds (default: result_ttl and failure_ttl).",
        )
        parser.add_argument(
            "--status",
            action="append",
            metavar="STATUS",
            help=f"Only results of this status, of {', '.join(ResultStatus.values)}; may be repeated.",
            **choice(ResultStatus.values),
        )

    def run(self, backend: str, given: Arguments) -> Answer:
        deleted = prune(backend=backend, older_than=given["older_than"], statuses=given["status"])
        # Nothing to delete is as good: the history is as short as was asked for.
        return Answer({"deleted": deleted}, f"Deleted {counted(deleted, 'result')}.")
