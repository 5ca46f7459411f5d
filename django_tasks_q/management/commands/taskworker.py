import os
import re
import socket
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError

from ...backend import TasksQBackend
from ...brokers import get_broker
from ...compat import DEFAULT_TASK_BACKEND_ALIAS, configured_aliases
from ...monitoring.log_listener import configure_logging, listen
from ...payloads import is_storable
from ...worker.process import borrowed, refuse_unsuitable
from ...worker.reloader import run_with_reloader
from ...worker.settings import WorkerSettings
from ...worker.supervisor import Supervisor
from ..backends import find_backend

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
            help="How long running jobs may continue after the first signal (default: 25).",
        )  # fmt: skip
        parser.add_argument(
            "--heartbeat-file", metavar="PATH", help="Touch this file with each heartbeat, for probes of this worker."
        )
        parser.add_argument("--reload", action="store_true", help="Restart when the code changes (development).")
        parser.add_argument("--log-format", choices=["text", "json"], default="text")

    def check(self, *args: Any, **options: Any) -> None:
        """Some of Django's checks ask MySQL for its version: a worker may be started before its database."""
        try:
            super().check(*args, **options)
        except OperationalError as error:
            self.stderr.write(f"Skipping system checks: the database does not answer: {error}")

    def handle(self, *args: Any, **options: Any) -> None:
        alias = options["backend"]
        for option in ("queues", "exclude_queues"):
            # As a keyword of call_command() it has not been read yet.
            options[option] = _names(options[option]) if isinstance(options[option], str) else options[option]
        if alias not in configured_aliases():
            raise CommandError(f'There is no backend "{alias}" in TASKS. Known: {", ".join(configured_aliases())}.')
        _refuse_what_cannot_run(find_backend(alias), [*options["queues"], *options["exclude_queues"]])
        try:
            using = get_broker(alias).using
            refuse_unsuitable(using)
            with borrowed(using):
                configure_logging(options["log_format"], options["verbosity"])
                listen()
                exit_code = run_with_reloader() if options["reload"] else _work(_settings(options))
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        if exit_code:
            raise CommandError(f"The worker exited with code {exit_code}: see its log.", returncode=exit_code)


def _work(settings: WorkerSettings) -> int:
    supervisor = Supervisor(settings)
    try:
        return supervisor.run()
    finally:
        supervisor.signals.restore()


def _refuse_what_cannot_run(backend: TasksQBackend, queues: list[str]) -> None:
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
        heartbeat_file=_heartbeat_file(options["heartbeat_file"]),
    )


def _heartbeat_file(path: str | None) -> str | None:
    """Return where the file is to be, wherever the process goes. Raise CommandError where it cannot be there."""
    if path is None:
        return None
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder) or os.path.isdir(path) or not os.access(folder, os.W_OK):
        raise CommandError(
            f'--heartbeat-file "{path}": no file can be made there. The folder must exist, and this user be able to '
            "write there."
        )
    return os.path.abspath(path)


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
