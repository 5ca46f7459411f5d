from collections.abc import Callable
from typing import ClassVar

from django.core.management.base import CommandParser

from ..terminal import line
from .base import Answer, Arguments, Verb

__all__ = ["Switch"]


class Switch(Verb):
    """Pauses or resumes queues or schedules by name. It succeeds only if each was in the other state.

    kind: "queue" or "schedule". switch: changes one of them, and returns whether it has. done, before: the state, as
    text, of those changed and of those not.
    """

    kind: ClassVar[str]
    metavar: ClassVar[str]
    switch: ClassVar[Callable[..., bool]]
    done: ClassVar[str]
    before: ClassVar[str]

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="+", metavar=self.metavar, help=f"The name of a {self.kind}.")

    def run(self, backend: str, given: Arguments) -> Answer:
        names = list(dict.fromkeys(given["names"]))
        changed = {name: type(self).switch(name, backend=backend) for name in names}
        lines = [self._said(name, did) for name, did in changed.items()]
        document = {self.done: [n for n in names if changed[n]], "unchanged": [n for n in names if not changed[n]]}
        return Answer(document, "\n".join(lines), all(changed.values()))

    def _said(self, name: str, did: bool) -> str:
        state = f"is {self.done} now" if did else self.before
        return line(f'{self.kind.capitalize()} "{name}" {state}.')
