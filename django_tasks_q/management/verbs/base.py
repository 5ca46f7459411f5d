import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.core.management.base import CommandParser

__all__ = ["Answer", "Verb", "add_common", "choice"]

# Django's own arguments, which many write after the verb.
COMMON = ("--settings", "--pythonpath")
COMMON_FLAGS = ("--traceback", "--no-color", "--force-color")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb has to say: as JSON, as text, and whether it did or found all that was asked for."""

    document: Any
    text: str
    ok: bool = True


class Verb:
    """One verb of `manage.py tasks`. It asks monitoring or control, and puts the answer into words."""

    name: ClassVar[str]
    help: ClassVar[str]

    def __init__(self, parser: CommandParser) -> None:
        self.parser = parser
        self.add_arguments(parser)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what only this verb takes."""

    def run(self, backend: str, given: dict[str, Any]) -> Answer:
        """Do it. given: the arguments, by name."""
        raise NotImplementedError

    def refuse(self, message: str) -> None:
        """End with the usage, because the arguments contradict each other."""
        self.parser.error(message)


def add_common(parser: CommandParser, **defaults: Any) -> None:
    """Add what every verb takes; without a default of its own, which would hide what was given before the verb."""
    given = {name: {"default": defaults.get(name, argparse.SUPPRESS)} for name in ("backend", "json")}
    parser.add_argument("--backend", metavar="ALIAS", help="The alias in TASKS.", **given["backend"])
    parser.add_argument("--json", action="store_true", help="Write JSON, for programs.", **given["json"])
    hidden: dict[str, Any] = {"default": argparse.SUPPRESS, "help": argparse.SUPPRESS}
    parser.add_argument("-v", "--verbosity", type=int, choices=range(4), **hidden)
    for name in COMMON:
        parser.add_argument(name, **hidden)
    for name in COMMON_FLAGS:
        parser.add_argument(name, action="store_true", **hidden)


def choice(names: Iterable[str]) -> dict[str, Any]:
    """Return the settings of an argument that takes one of these names, in upper or lower case."""
    return {"type": str.upper, "choices": [str(name) for name in names]}
