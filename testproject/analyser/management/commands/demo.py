import os
import shlex
import signal
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from analyser.demo.login import make_admin
from analyser.demo.progress import show_progress
from analyser.demo.server import HOST, PortUnavailable, serve
from analyser.demo.summary import Timing, describe
from analyser.demo.worker import WorkerProcess
from analyser.models import Report
from analyser.packages import Package, UnknownPackage, find_package
from analyser.reports import Progress, failures, progress, start_report
from django_tasks_q.models import Job

__all__ = ["Command"]

SECONDS_BETWEEN_LOOKS = 0.1
# Seconds for a worker to end by itself that has nothing left to do.
BURST_END = 30
INTERRUPTED = 128 + signal.SIGINT


class Command(BaseCommand):
    help = (
        "Analyse every file of an installed package, one job for each, and print what was found. "
        "With --serve, run the site, the admin and a worker instead."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--package", metavar="NAME", help="The installed package to analyse (default: django).")
        parser.add_argument(
            "--concurrency", type=_number(1, 1_000), metavar="N", help="Jobs at a time (default: the number of cores)."
        )
        parser.add_argument("--serve", action="store_true", help="Run the site and a worker until Ctrl-C.")
        parser.add_argument(
            "--port", type=_number(0, 65_535), default=8000, help="Of --serve (default: 8000; 0: a free one)."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        package = _find(options["package"] or "django")
        self._prepare()
        worker = WorkerProcess(
            settings.DATA_DIR / "worker.log", concurrency=options["concurrency"], burst=not options["serve"]
        )
        with _signals_interrupt():
            if options["serve"]:
                self._serve(worker, options["port"], package if options["package"] else None)
            else:
                self._analyse(worker, package)

    def _prepare(self) -> None:
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except OperationalError as error:
            raise CommandError(f"The database {connection.settings_dict['NAME']} cannot be used: {error}") from error
        self.stdout.write(f"Database: {connection.settings_dict['NAME']} ({connection.display_name})")

    # The analysis

    def _analyse(self, worker: WorkerProcess, package: Package) -> None:
        self._tell_of_earlier_jobs()
        started = time.perf_counter()
        report = start_report(package)
        timing = Timing(enqueue=time.perf_counter() - started, started=time.time())
        self.stdout.write(f"Enqueued: {report.files.count():,} jobs, one for each file of {report}")
        self.stdout.write(f"Worker's log: {worker.log}\n\n")
        try:
            with worker:
                reached = self._follow(report, worker)
        except KeyboardInterrupt:
            raise CommandError(
                "Interrupted. The worker has stopped; jobs that are left run with the next one.",
                returncode=INTERRUPTED,
            ) from None
        if reached.finished:
            self.stdout.write("")
            for line in describe(report, reached, timing, self.style.MIGRATE_HEADING):
                self.stdout.write(line)
        _check(report, reached, worker)
        self._tell_what_next(worker)

    def _tell_of_earlier_jobs(self) -> None:
        earlier = Job.objects.filter(status="READY").count()
        if earlier:
            self.stdout.write(f"Waiting already: {earlier:,} jobs of an earlier run, which come first")

    def _follow(self, report: Report, worker: WorkerProcess) -> Progress:
        """Show the progress until all jobs are finished, or the worker is."""
        with show_progress(self.stdout, report.package) as show:
            ended = False
            while not (reached := progress(report)).is_finished and not ended:
                show(reached)
                ended = worker.wait(SECONDS_BETWEEN_LOOKS) is not None
            show(reached)
        worker.wait(BURST_END)
        return reached

    def _tell_what_next(self, worker: WorkerProcess) -> None:
        self.stdout.write(f"\n{self.style.MIGRATE_HEADING('Next')}")
        self.stdout.write(f"  {_command('demo', '--serve')}")
        self.stdout.write(f"  runs the site and the admin on http://{HOST}:8000/, with a worker.")

    # The site

    def _serve(self, worker: WorkerProcess, port: int, package: Package | None) -> None:
        try:
            with serve(port) as url, worker:
                self._tell_where(url, worker)
                if package:
                    self.stdout.write(f"Report:   {url}reports/{start_report(package).pk}/")
                self.stdout.write("Stop with Ctrl-C.")
                self.stdout.flush()
                code = worker.wait()
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        except PortUnavailable as error:
            raise CommandError(str(error)) from error
        else:
            raise CommandError(f"The worker has ended with exit code {code}:\n{worker.last_words()}")

    def _tell_where(self, url: str, worker: WorkerProcess) -> None:
        login = make_admin()
        self.stdout.write(f"Worker's log: {worker.log}\n\n")
        self.stdout.write(f"Site:     {url}")
        self.stdout.write(f"Admin:    {url}admin/")
        self.stdout.write(f"User:     {login.name}")
        self.stdout.write(f"Password: {login.password}\n\n")


def _find(name: str) -> Package:
    try:
        return find_package(name)
    except UnknownPackage as error:
        raise CommandError(str(error.args[0])) from error


def _check(report: Report, reached: Progress, worker: WorkerProcess) -> None:
    """Raise CommandError unless every job succeeded and the worker ended well."""
    code = worker.process.returncode
    if not reached.is_finished:
        raise CommandError(
            f"The worker ended with exit code {code}, and {reached.total - reached.finished:,} jobs are left:\n"
            f"{worker.last_words()}"
        )
    if reached.failed:
        first = failures(report, 1)[0]
        raise CommandError(f"{reached.failed:,} of {reached.total:,} jobs failed; {first.file.path}: {first.reason}")
    if code != 0:
        raise CommandError(f"All jobs succeeded, but the worker ended with exit code {code}:\n{worker.last_words()}")


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Make SIGTERM and a closed terminal do what Ctrl-C does."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.default_int_handler) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _command(*arguments: str) -> str:
    """Return a command of this project as one would type it here."""
    words = [_relative(sys.executable), _relative(str(settings.BASE_DIR / "manage.py")), *arguments]
    return shlex.join(words)


def _relative(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return read
