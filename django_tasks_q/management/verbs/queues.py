from collections.abc import Callable
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from ...control import queues
from ..terminal import line
from .base import Answer, Verb

__all__ = ["Pause", "Resume"]


class Switch(Verb):
    """Pauses or resumes queues. It is all right only where each of them was in the other state."""

    switch: ClassVar[Callable[..., bool]]
    done: ClassVar[str]
    before: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="+", metavar="QUEUE", help="The name of a queue.")

    def run(self, backend: str, given: dict[str, Any]) -> Answer:
        names = list(dict.fromkeys(given["queues"]))
        try:
            changed = {name: type(self).switch(name, backend=backend) for name in names}
        except ValueError as error:
            raise CommandError(line(error), returncode=2) from None
        lines = [self._said(name, did) for name, did in changed.items()]
        document = {self.done: [n for n in names if changed[n]], "unchanged": [n for n in names if not changed[n]]}
        return Answer(document, "\n".join(lines), all(changed.values()))

    def _said(self, name: str, did: bool) -> str:
        return line(f'Queue "{name}" is {self.done} now.' if did else f'Queue "{name}" {self.before}.')


class Pause(Switch):
    name = "pause"
    help = "Let no worker take jobs from queues until they are resumed. Running jobs go on."
    switch = staticmethod(queues.pause)
    done = "paused"
    before = "was paused already"


class Resume(Switch):
    name = "resume"
    help = "Let workers take jobs from queues again."
    switch = staticmethod(queues.resume)
    done = "resumed"
    before = "was not paused"
