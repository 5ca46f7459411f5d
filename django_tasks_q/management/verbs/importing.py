from argparse import ArgumentTypeError
from dataclasses import dataclass, field, replace

from django.core.management.base import CommandParser
from django.db import DatabaseError, connections

from ...control import schedules
from ...exceptions import InvalidSchedule
from ...models import Schedule
from ...monitoring.schedules import list_schedules
from ...schedules.validation import validate
from ..importing import READERS, Foreign
from ..importing.base import Inexpressible
from ..terminal import line
from .base import Answer, Arguments, Verb

__all__ = ["Import"]


@dataclass(slots=True)
class Taken:
    """What happened to another queue's schedules: names, and reasons or notes by name."""

    imported: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)


class Import(Verb):
    name = "import"
    help = "Import the schedules of another queue from its tables, and say what cannot be expressed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="source", choices=list(READERS), required=True, help="Which queue.")
        parser.add_argument(
            "--map", type=_mapping, action="append", default=[], metavar="OLD=NEW", help="What a task is called here."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say what would be done.")
        parser.add_argument(
            "--database", default="default", metavar="ALIAS", help="Where its tables are (default: default)."
        )

    def run(self, backend: str, given: Arguments) -> Answer:
        try:
            found = READERS[given["source"]](connections[given["database"]])
        except DatabaseError as error:
            return Answer({"error": str(error)}, f"Its tables cannot be read: {line(error)}", ok=False)
        known = {row.name for row in list_schedules(backend)}
        taken = Taken()
        for foreign in found:
            if foreign.name in known:
                taken.unchanged.append(foreign.name)
            else:
                _take(foreign, backend, dict(given["map"]), taken, dry=given["dry_run"])
        document = {name: getattr(taken, name) for name in Taken.__slots__}
        return Answer(document, _told(taken, dry=given["dry_run"]), not taken.refused)


def _take(foreign: Foreign, backend: str, names: dict[str, str], taken: Taken, *, dry: bool) -> None:
    try:
        definition = foreign.define()
        path = names.get(definition.task_path, definition.task_path)
        definition = replace(definition, backend=backend, task_path=path)
        validate(definition)
        if not dry:
            schedules.save(Schedule(**definition.columns()))
    except (Inexpressible, InvalidSchedule, ValueError) as error:
        taken.refused[foreign.name] = str(error)
    else:
        taken.imported.append(foreign.name)
        if foreign.notes:
            taken.notes[foreign.name] = list(foreign.notes)


def _told(taken: Taken, *, dry: bool) -> str:
    done = "Would be imported" if dry else "Imported"
    lines = [f"{done}: {line(name)}" for name in taken.imported]
    lines += [f"{line(name)}: {line(note)}" for name, notes in taken.notes.items() for note in notes]
    lines += [f"Already exists: {line(name)}" for name in taken.unchanged]
    lines += [f"Refused: {line(name)}: {line(reason)}" for name, reason in taken.refused.items()]
    return "\n".join(lines) or "There are no schedules to import."


def _mapping(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise ArgumentTypeError(f"{text!r} is not OLD=NEW")
    return old, new
