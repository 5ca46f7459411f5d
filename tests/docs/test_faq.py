"""The FAQ names the messages that people meet as they meet them."""

import asyncio
import datetime
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from django_tasks_q import enqueue
from tests.tasks import add

from .blocks import ROOT

pytestmark = pytest.mark.only_on("sqlite")
TEXT = (ROOT / "docs" / "how-to" / "faq.md").read_text()
MESSAGES = re.findall(r"^### `(.+)`$", TEXT.split("## What goes wrong")[0], re.M)
BACKEND = "django_tasks_q.backend.TasksQBackend"
# Other programs say these, in cases that take a machine of another kind or an hour.
OTHERS = {"database is locked", "No module named 'django_tasks'"}


@pytest.fixture
def without_tables(transactional_db: None) -> Iterator[None]:
    call_command("migrate", "django_tasks_q", "zero", verbosity=0)
    yield
    call_command("migrate", "django_tasks_q", verbosity=0)


def in_a_shell() -> None:
    """Call the command in a project without the app."""
    subprocess.run(
        [sys.executable, "-m", "django", "taskworker"],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "django.conf.global_settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


async def in_a_view() -> None:
    add.enqueue(1, 2)


def in_the_worker() -> None:
    call_command("taskworker", "--burst", "--concurrency", "1")


def where_queues_are_named() -> None:
    with override_settings(TASKS={"default": {"BACKEND": BACKEND}}):
        add.using(queue_name="mail").enqueue(1, 2)


PROVOKED: dict[str, Callable[[], Any]] = {
    "Unknown command: 'taskworker'": in_a_shell,
    "no such table: django_tasks_q_job": lambda: add.enqueue(1, 2),
    "lacks migrations of this package": in_the_worker,
    "Queue 'mail' is not valid for backend.": where_queues_are_named,
    "The connection 'bulk' doesn't exist": lambda: add.using(backend="bulk").enqueue(1, 2),
    "missing a required argument: 'order_id'": lambda: add.enqueue(),
    "Unsupported type: … which is not JSON": lambda: add.enqueue(datetime.date(2026, 11, 29), 1),
    "You cannot call this from an async context - use a thread or sync_to_async.": lambda: asyncio.run(in_a_view()),
    "There is no task at": lambda: enqueue("shop.tasks.gone", 1),
}
WITHOUT_TABLES = {"no such table: django_tasks_q_job", "lacks migrations of this package"}


def test_every_message_is_provoked_here() -> None:
    assert set(MESSAGES) == set(PROVOKED) | OTHERS


@pytest.mark.django_db
@pytest.mark.parametrize("message", sorted(PROVOKED.keys() - WITHOUT_TABLES))
def test_a_message_is_as_the_page_has_it(message: str) -> None:
    check(message)


def test_messages_without_tables_are_as_the_page_has_them(without_tables: None) -> None:
    for message in WITHOUT_TABLES:
        check(message)


def check(message: str) -> None:
    with pytest.raises(Exception) as raised:
        PROVOKED[message]()
    said = f"{raised.value} {getattr(raised.value, 'stderr', '')}"
    expected = [re.escape(part).replace("order_id", "a") for part in message.split(" … ")]
    assert re.search(".*".join(expected), said), said
