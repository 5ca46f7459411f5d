"""The run: a database, a server, a worker and a browser."""

import os
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import django

from ... import servers
from ...waiting import wait_for
from ..axe import axe_script
from ..chromium import find_chromium, launched
from .report import faults, table

__all__ = ["run"]

# It does not wait for what it runs.
WORKER = ("--queues=live,reports", "--concurrency=4", "--shutdown-timeout=0", "--name=crowd")


def run(given: Namespace) -> int:
    """Look at everything; return the exit code."""
    if (chromium := find_chromium()) is None:
        raise servers.MissingService("There is no Chromium: apt-get install chromium, or name one in CHROMIUM.")
    axe_script()
    with ExitStack() as stack:
        is_new = stack.enter_context(database(given.database, keep=given.keep))
        django.setup()
        visiting = import_module("tests.browser.crowd.visiting")
        if is_new:
            tell("Filling the tables …")
            visiting.fill(given.results, given.jobs)
        site = stack.enter_context(server(given.output))
        stack.enter_context(running("taskworker", *WORKER, log=given.output / "worker.log"))
        browser = stack.enter_context(launched(chromium))
        started = time.monotonic()
        sights = visiting.visit(browser, site, given.only, tell)
    report = f"{table(sights)}\n"
    wrong = list(faults(sights))
    (given.output / "report.md").write_text("\n".join([report, *(f"- {fault}" for fault in wrong), ""]))
    tell(f"\n{report}")
    for fault in wrong:
        tell(f"WRONG: {fault}")
    tell(f"{len(sights)} pages and deeds in {time.monotonic() - started:.0f} s, {len(wrong)} faults: {given.output}")
    return 1 if wrong else 0


def tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@contextmanager
def database(name: str, *, keep: bool) -> Iterator[bool]:
    """Make a database, and name it in the environment; return whether it is new. It is dropped in the end."""
    psycopg = import_module("psycopg")
    url = servers.postgresql_url()
    parts = urlsplit(url)
    os.environ["DATABASE_URL"] = parts._replace(path=f"/{name}").geturl()
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        there = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone()
        if there and not keep:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        is_new = not there or not keep
        if is_new:
            connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield is_new
        finally:
            if not keep:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def server(output: Path) -> Iterator[str]:
    """Serve the site in a separate process; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    place = f"127.0.0.1:{address[1]}"
    with running("runserver", "--noreload", place, log=output / "server.log"):
        wait_for(lambda: _answers(address), "the server")
        yield f"http://{place}"


def _answers(address: tuple[str, int]) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(address) == 0


@contextmanager
def running(*arguments: str, log: Path) -> Iterator[None]:
    """Keep a management command running."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "django", *arguments], stdout=output, stderr=subprocess.STDOUT, process_group=0
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
