import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

from django.core.management.base import CommandError, CommandParser

__all__ = ["Answer", "Arguments", "Verb", "VerbParser", "add_common", "choice", "end_with_help"]

# What was given, by name, as the parser read it.
Arguments = dict[str, Any]

# Django's own arguments, which users often write after the verb.
COMMON = ("--settings", "--pythonpath")
COMMON_FLAGS = ("--traceback", "--no-color", "--force-color")


@dataclass(frozen=True, slots=True)
class Answer:
    """A verb's answer: as JSON, as text, and whether it did or found everything requested."""

    document: Any
    text: str
    ok: bool = True


class VerbParser(CommandParser):
    """Exits with 2 on wrong usage in a shell; under call_command() too, where Django's own parser has 1."""

    def error(self, message: str) -> NoReturn:
        if self.called_from_command_line:
            super().error(message)
        raise CommandError(f"Error: {message}", returncode=2)


def end_with_help(parser: CommandParser) -> NoReturn:
    """End, as wrong usage, with all that a parser knows: it lists the verbs."""
    text = parser.format_help()
    if parser.called_from_command_line:
        parser.exit(2, text)
    raise CommandError(text, returncode=2)


class Verb:
    """One verb of `manage.py tasks`. It calls monitoring or control, and formats the answer."""

    name: ClassVar[str]
    help: ClassVar[str]

    def __init__(self, parser: CommandParser) -> None:
        self.parser = parser
        self.add_arguments(parser)

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what only this verb takes."""

    def run(self, backend: str, given: Arguments) -> Answer:
        """Do it. given: the arguments, by name."""
        raise NotImplementedError

    def refuse(self, message: str) -> None:
        """End with the usage, because of what is wrong with the arguments."""
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
