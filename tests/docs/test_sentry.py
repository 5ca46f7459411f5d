"""docs/how-to/sentry.md, followed: each failure is one event and one mail, and both say which job it was."""

import gzip
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import django
import pytest

from tests.needs import need_package

from .blocks import ROOT, blocks
from .projects import Project

need_package("sentry_sdk")
pytestmark = pytest.mark.only_on("sqlite")
PAGE = ROOT / "docs" / "how-to" / "sentry.md"
SETTINGS = """
DEBUG = False
ADMINS = ["admin@example.com"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.com")]
if django.VERSION >= (6, 1):
    MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.filebased.EmailBackend",
            "OPTIONS": {"file_path": BASE_DIR / "mails"},
        }
    }
else:
    EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    EMAIL_FILE_PATH = BASE_DIR / "mails"
TASKS["default"]["OPTIONS"] = {"max_losses": 1}
"""
TASKS = """
import os
import time

from django_tasks_q import task


@task
def fine(): ...


@task(max_attempts=2, backoff=0)
def charge(order_id):
    raise ConnectionError("the payment service does not answer")


@task(timeout=0.2)
def endless():
    time.sleep(600)


@task
def end_process():
    os._exit(3)


@task(takes_context=True)
def cancels_itself(context):
    context.task_result.cancel()
    time.sleep(600)
"""
ENQUEUE = (
    "from shop.tasks import *\n"
    "print(*[t.enqueue(*a).id for t, a in [(fine, ()), (charge, (1,)), (charge, (2,)), (endless, ()), "
    "(end_process, ()), (cancels_itself, ())]])"
)
ENDED = "from django_tasks_q.models import *\nprint(*Result.objects.order_by('id').values_list('status', flat=True))"


@pytest.fixture
def sentry() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes what an SDK sends: its DSN, and the events that have come."""
    events: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            lines = (gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body).split(b"\n")
            events.extend(
                json.loads(payload)
                for header, payload in pairwise(lines)
                if b'"type":"event"' in header.replace(b" ", b"")
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *values: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://key@127.0.0.1:{server.server_port}/1", events
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def project(tmp_path: Path, sentry: tuple[str, Any]) -> Project:
    Project(tmp_path).shell("django-admin startproject mysite\ncd mysite\npython manage.py startapp shop")
    project = Project(tmp_path / "mysite")
    project.environment["SENTRY_DSN"] = sentry[0]
    project.environment.pop("http_proxy", None)
    (project.folder / "shop" / "apps.py").unlink()
    readme = next(block for block in blocks(ROOT / "README.md") if block.file == "mysite/settings.py")
    project.add("mysite/settings.py", f"import django\n{readme.code}{SETTINGS}")
    for block in blocks(PAGE):
        if block.file and (block.heading != "Mail to the admins" or django.VERSION < (6, 0)):
            project.add(block.file, block.code)
    project.add("shop/tasks.py", TASKS)
    project.manage("migrate")
    yield project
    shutil.rmtree(project.folder)


@pytest.mark.project
def test_each_failure_is_one_event_and_one_mail(project: Project, sentry: tuple[str, list[dict[str, Any]]]) -> None:
    ids = project.manage("shell", "-c", ENQUEUE).splitlines()[-1].split()
    output = project.manage("taskworker", "--burst", "--concurrency", "2", "--no-scheduler")
    ended = project.manage("shell", "-c", ENDED).splitlines()[-1].split()
    assert ended == ["SUCCESSFUL", "FAILED", "FAILED", "FAILED", "FAILED", "CANCELLED"], output

    failed = {
        ids[1]: ("shop.tasks.charge", "ConnectionError"),
        ids[2]: ("shop.tasks.charge", "ConnectionError"),
        ids[3]: ("shop.tasks.endless", "TaskTimeout"),
        ids[4]: ("shop.tasks.end_process", "JobLost"),
    }
    events = sentry[1]
    assert all(event["transaction"] == event["tags"]["task"] for event in events)
    seen = [
        (event["tags"]["job"], (event["transaction"], event["exception"]["values"][-1]["type"])) for event in events
    ]
    assert sorted(seen) == sorted(failed.items())

    # Two processes may write into one file, whose name is the second and an address in memory.
    lines = [line for path in (project.folder / "mails").iterdir() for line in path.read_text().splitlines()]
    subjects = [line for line in lines if line.startswith("Subject: ")]
    # To the framework the cancelled one has failed too.
    assert [sum(job in subject for subject in subjects) for job in ids] == [0, 1, 1, 1, 1, 1]
