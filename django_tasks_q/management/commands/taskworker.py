import os
import re
import socket
import sys
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from ...backend import TasksQBackend
from ...compat import DEFAULT_TASK_BACKEND_ALIAS, configured_aliases, task_backends
from ...monitoring.logs import configure_logging, listen
from ...payloads import is_storable
from ...worker.reloader import run_with_reloader
from ...worker.settings import WorkerSettings
from ...worker.supervisor import Supervisor

__all__ = ["Command"]

MOST_PROCESSES = 10_000
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


class Command(BaseCommand):
    help = (
        "Run tasks in subprocesses until stopped. "
        "SIGTERM or Ctrl-C lets running jobs finish; a second one stops them and puts them back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--backend", default=DEFAULT_TASK_BACKEND_ALIAS, help="The alias in TASKS (default).")
        parser.add_argument("--queues", type=_names, default=[], metavar="A,B", help="Only these (default: all).")
        parser.add_argument("--exclude-queues", type=_names, default=[], metavar="A,B", help="All but these queues.")
        parser.add_argument("--name", type=_name, help="A name for logs and admin (default: host and process ID).")
        parser.add_argument(
            "--concurrency", type=_processes, default=_cores(), help="Jobs at a time (default: the number of cores)."
        )
        parser.add_argument("--no-scheduler", action="store_true", help="Leave the schedules to other workers.")
        parser.add_argument("--burst", action="store_true", help="Exit when nothing is due.")
        parser.add_argument("--max-tasks-per-child", type=_count, metavar="N", help="Replace a child after N jobs.")
        parser.add_argument(
            "--max-memory-per-child", type=_size, metavar="SIZE", help="Replace a child above this, for example 256M."
        )
        parser.add_argument(
            "--shutdown-timeout", type=_seconds, default=25.0, metavar="SECONDS",
            help="How long running jobs may go on after the first signal (default: 25).",
        )  # fmt: skip
        parser.add_argument("--reload", action="store_true", help="Start again when the code changes (development).")
        parser.add_argument("--log-format", choices=["text", "json"], default="text")

    def check(self, *args: Any, **options: Any) -> None:
        """Some of Django's checks ask MySQL for its version: a worker may be started before its database."""
        try:
            super().check(*args, **options)
        except OperationalError as error:
            self.stderr.write(f"The system checks are left out, because the database does not answer: {error}")

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["backend"]
        if alias not in configured_aliases():
            raise CommandError(f'There is no backend "{alias}" in TASKS. Known: {", ".join(configured_aliases())}.')
        _refuse_what_cannot_run(task_backends[alias], [*options["queues"], *options["exclude_queues"]])
        configure_logging(options["log_format"], options["verbosity"])
        listen()
        if options["reload"]:
            sys.exit(run_with_reloader())
        try:
            exit_code = Supervisor(_settings(options)).run()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        sys.exit(exit_code)


def _refuse_what_cannot_run(backend: Any, queues: list[str]) -> None:
    if not isinstance(backend, TasksQBackend):
        raise CommandError(
            f'TASKS["{backend.alias}"] is {type(backend).__name__}, whose jobs no worker can run. '
            'Set its BACKEND to "django_tasks_q.backend.TasksQBackend".'
        )
    for name in queues:
        if backend.queues and name not in backend.queues:
            known = ", ".join(sorted(backend.queues))
            raise CommandError(f'There is no queue "{name}" in TASKS["{backend.alias}"]["QUEUES"]. Known: {known}.')


def _settings(options: dict[str, Any]) -> WorkerSettings:
    return WorkerSettings(
        backend=options["backend"],
        name=options["name"] or f"{socket.gethostname()}-{os.getpid()}",
        queues=options["queues"],
        excluded_queues=options["exclude_queues"],
        concurrency=options["concurrency"],
        burst=options["burst"],
        scheduler=not options["no_scheduler"],
        max_tasks_per_child=options["max_tasks_per_child"],
        max_memory_per_child=options["max_memory_per_child"],
        shutdown_timeout=options["shutdown_timeout"],
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise ArgumentTypeError("give at least one queue name, or leave the option out")
    if not is_storable(text):
        raise ArgumentTypeError(f"{text!r} is not text that a database can hold")
    return names


def _name(text: str) -> str:
    if not re.fullmatch(r"[\w.@:+-]{1,80}", text):
        raise ArgumentTypeError(f"{text!r} is not 1 to 80 letters, digits and any of . @ : + - _")
    return text


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _processes(text: str) -> int:
    if (count := _count(text)) > MOST_PROCESSES:
        raise ArgumentTypeError(f"{MOST_PROCESSES:,} is the most; start more workers")
    return count


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 10**9:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+)([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if not match or (size := int(match[1]) * UNITS[match[2].upper()]) < 2**20:
        raise ArgumentTypeError(f"{text!r} is not a size from 1M on, such as 256M or 1G")
    return size
