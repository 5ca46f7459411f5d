import json
import sys
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, no_translations
from django.core.serializers.json import DjangoJSONEncoder
from django.db import Error

from ...backend import TasksQBackend
from ...compat import DEFAULT_TASK_BACKEND_ALIAS, InvalidTaskBackend, configured_aliases, task_backends
from ...payloads import is_storable
from ..terminal import line, printable
from ..verbs import VERBS, Answer, Verb
from ..verbs.base import add_common

__all__ = ["Command"]


class Command(BaseCommand):
    help = "Show what the queues, jobs and workers do, and act on them. Exit code: 0 done, 1 not, 2 wrong usage."
    # A probe must be quick, and able to say what is wrong by itself.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        self.parser = parser
        self.verbs: dict[str, Verb] = {}
        parsers = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        for verb in VERBS:
            subparser = parsers.add_parser(verb.name, help=verb.help, description=verb.help)
            add_common(subparser, backend=DEFAULT_TASK_BACKEND_ALIAS, json=False)
            self.verbs[verb.name] = verb(subparser)

    # What it says is for scripts and tickets as well.
    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["backend"]
        self._check_words(options)
        self._check_backend(alias)
        try:
            answer = self.verbs[options["verb"]].run(alias, options)
        except Error as error:
            raise CommandError(_explain(error)) from error
        self._write(answer, as_json=options["json"])
        if not answer.ok:
            sys.exit(1)

    def _check_words(self, options: Mapping[str, Any]) -> None:
        for value in options.values():
            for word in value if isinstance(value, list) else [value]:
                if isinstance(word, str) and not is_storable(word):
                    self.parser.error(f"{word!r} is not text that a database can hold")

    def _check_backend(self, alias: str) -> None:
        if alias not in configured_aliases():
            self.parser.error(f'there is no backend "{alias}" in TASKS, only {", ".join(configured_aliases())}')
        try:
            backend = task_backends[alias]
            ours = isinstance(backend, TasksQBackend) and backend.config
        except (ImproperlyConfigured, InvalidTaskBackend) as error:
            raise CommandError(line(error)) from error
        if not ours:
            self.parser.error(f'TASKS["{alias}"] is {type(backend).__name__}, which keeps no jobs in the database')

    def _write(self, answer: Answer, *, as_json: bool) -> None:
        text = _to_json(answer.document) if as_json else printable(answer.text)
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        self.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def _to_json(document: Any) -> str:
    return json.dumps(document, cls=DjangoJSONEncoder, indent=2)


def _explain(error: Error) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    return f'The database cannot answer: {line(reason)} (Run "manage.py tasks health" to see what to do.)'
