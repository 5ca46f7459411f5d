"""The README's quick start, followed to the letter in an empty folder."""

import socket
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import pytest
from django.conf import settings
from django.db import connections

from tests import servers
from tests.needs import require
from tests.waiting import wait_for

from .blocks import ROOT, Block, blocks
from .projects import Project

QUICK_START = [block for block in blocks(ROOT / "README.md") if block.heading == "Quick start"]
NAME = f"{settings.DATABASE_NAME}_quick_start"
# What the test does in a way of its own: the package under test is here already, and servers must not block.
ELSEWHERE = (
    "mkdir",
    "python -m pip",
    "python manage.py createsuperuser",
    "python manage.py runserver",
    "python manage.py taskworker",
)
FAILING = """
def place_failing_order(request, order_id):
    with transaction.atomic():
        send_receipt.enqueue(order_id)
        raise ValueError("The order cannot be saved.")
"""


@pytest.fixture
def database(django_db_blocker: Any) -> Iterator[str]:
    """A separate database if the tests have a server; return its settings."""
    if settings.DATABASE == "sqlite":
        yield ""
        return
    require(servers.DATABASES[settings.DATABASE])
    given = servers.database_settings(settings.DATABASE, settings.URL, name=NAME)
    driver = "import tests.servers\ntests.services.mysql_driver()\n" if settings.DATABASE == "mysql" else ""
    with django_db_blocker.unblock():
        _on_server(f"CREATE DATABASE {NAME}")
        try:
            yield f"{driver}DATABASES = {{'default': {given!r}}}\n"
        finally:
            _on_server(f"DROP DATABASE {NAME}")


@pytest.mark.project
def test_what_a_view_enqueues_runs_unless_it_is_rolled_back(tmp_path: Path, database: str) -> None:
    project = _follow(tmp_path, database)
    with _site(project, tmp_path) as address:
        answer = _get(f"{address}/order/42/")
        with pytest.raises(HTTPError, match="500"):
            _get(f"{address}/failing-order/43/")
        assert "Log in" in _get(f"{address}/admin/")
    output = project.manage("taskworker", "--burst", "--concurrency", "1")
    assert "The receipt of order 42 goes out." in output
    assert "order 43" not in output
    assert (
        project.manage("shell", "-c", WHAT_IS_STORED).splitlines()[-1] == f"0 [('{answer.split()[-1]}', 'SUCCESSFUL')]"
    )


WHAT_IS_STORED = """
from django_tasks_q.models import Job, Result
print(Job.objects.count(), [(str(result.id), result.status) for result in Result.objects.all()])
"""


def test_the_quick_start_fits_a_screen() -> None:
    assert sum(block.code.count("\n") for block in QUICK_START) <= 50


def _follow(folder: Path, database: str) -> Project:
    """Do what the blocks say, in their order."""
    Project(folder).shell(_commands(QUICK_START[0]))
    project = Project(folder / "mysite")
    for block in QUICK_START[1:]:
        if block.file:
            project.add(block.file, block.code)
    project.add("mysite/settings.py", database)
    project.add("shop/views.py", FAILING)
    project.add("mysite/urls.py", _FAILING_URL)
    for block in QUICK_START[1:]:
        if block.language == "sh":
            project.shell(_commands(block))
    project.manage("check", "--database", "default", "--fail-level", "WARNING")
    project.environment["DJANGO_SUPERUSER_PASSWORD"] = "for tests only"
    project.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com")
    return project


_FAILING_URL = """
from shop.views import place_failing_order
urlpatterns += [path("failing-order/<int:order_id>/", place_failing_order)]
"""


def _commands(block: Block) -> str:
    return "".join(line for line in block.code.splitlines(keepends=True) if not line.startswith(ELSEWHERE))


@contextmanager
def _site(project: Project, folder: Path) -> Iterator[str]:
    """Run the development server; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = folder / "site.log"
    server = project.start("runserver", "--noreload", address, output=log)
    try:
        wait_for(lambda: _answers(f"http://{address}/admin/"), f"the site to answer: {log}")
        yield f"http://{address}"
    finally:
        server.terminate()
        server.wait()


def _answers(address: str) -> bool:
    try:
        _get(address)
    except HTTPError:
        return True
    except URLError:
        return False
    return True


def _get(address: str) -> str:
    try:
        with urllib.request.urlopen(address, timeout=30) as response:
            return str(response.read().decode())
    except HTTPError as error:
        error.close()
        raise


def _on_server(statement: str) -> None:
    with connections["default"]._nodb_cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute(statement)
