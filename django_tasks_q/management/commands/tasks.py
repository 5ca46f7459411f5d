import json
import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, no_translations
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error

from ...backend import TasksQBackend
from ...compat import DEFAULT_TASK_BACKEND_ALIAS, configured_aliases
from ...payloads import is_storable
from ..backends import find_backend
from ..terminal import line, printable
from ..verbs import VERBS, Answer, Verb
from ..verbs.base import VerbParser, add_common, end_with_help

__all__ = ["Command"]


class Command(BaseCommand):
    help = "Inspect and manage queues, jobs and workers. Exit code: 0 done, 1 not done, 2 wrong usage."
    # A probe has to be quick, and reports problems itself.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        self.parser, self.verbs = parser, dict[str, Verb]()
        parsers = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=VerbParser)
        for verb in VERBS:
            subparser = parsers.add_parser(verb.name, help=verb.help, description=verb.help)
            add_common(subparser, backend=DEFAULT_TASK_BACKEND_ALIAS, json=False)
            self.verbs[verb.name] = verb(subparser)

    # Its output is for scripts and tickets as well.
    @no_translations
    def handle(self, *args: object, **options: Any) -> None:
        if options["verb"] is None:
            end_with_help(self.parser)
        verb, alias = self.verbs[options["verb"]], options["backend"]
        _check_words(verb, options)
        _check_backend(verb, alias)
        try:
            answer = verb.run(alias, options)
        except Error as error:
            raise CommandError(_explain(error)) from error
        self._write(answer, as_json=options["json"])
        if not answer.ok:
            self._end(answer)

    def _end(self, answer: Answer) -> None:
        """End with 1. A shell has read the answer by now; call_command() raises it."""
        if getattr(self, "_called_from_command_line", False):
            sys.exit(1)
        raise CommandError(printable(answer.text), returncode=1)

    def _write(self, answer: Answer, *, as_json: bool) -> None:
        text = _to_json(answer.document) if as_json else printable(answer.text)
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        self.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _check_words(verb: Verb, options: Mapping[str, object]) -> None:
    for value in options.values():
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str) and not is_storable(word):
                verb.refuse(f"{word!r} is not text that a database can hold")


def _check_backend(verb: Verb, alias: str) -> None:
    if alias not in configured_aliases():
        verb.refuse(f'there is no backend "{alias}" in TASKS, only {", ".join(configured_aliases())}')
    backend = find_backend(alias)
    try:
        ours = isinstance(backend, TasksQBackend) and backend.config
    except ImproperlyConfigured as error:
        raise CommandError(line(error)) from error
    if not ours:
        verb.refuse(f'TASKS["{alias}"] is {type(backend).__name__}, which keeps no jobs in the database')


def _to_json(document: object) -> str:
    return json.dumps(document, cls=DjangoJSONEncoder, indent=2)


def _explain(error: Error) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f'The database cannot answer: {line(reason)} (Run "manage.py tasks health" to see what to do.)'
