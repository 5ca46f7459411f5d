"""What is done with a site, once Django is set up."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from playwright.sync_api import Browser, expect

from django_tasks_q import cron, every
from django_tasks_q.control import queues, schedules
from django_tasks_q.models import Schedule, Worker

from ...waiting import wait_for
from . import scene
from .deeds import DEEDS
from .pages import addresses
from .report import Sight
from .visitor import PATIENCE, Visitor

__all__ = ["fill", "visit"]

COOKIE = "sessionid"
SCHEDULES = 30


def fill(results: int, jobs: int) -> None:
    """Make the tables, and what is in them."""
    call_command("migrate", verbosity=0)
    User.objects.create_superuser("anna")
    scene.fill(results, jobs)
    queues.pause("exports")
    for number in range(SCHEDULES):
        name = f"schedule {number} {scene.EVIL if number % 10 == 3 else ''}".strip()
        timing = every(hours=number + 1) if number % 2 else cron(f"{number} 3 * * *", tz="Europe/Rome")
        schedules.create(name, timing, "tests.browser.crowd.tasks.charge", args=[2], kwargs={"note": scene.EVIL})


def visit(browser: Browser, site: str, only: str, tell: Callable[[str], Any]) -> list[Sight]:
    """Look at each page whose name has the text, then act; return what was seen."""
    expect.set_options(timeout=PATIENCE)
    wait_for(lambda: Worker.objects.filter(status="ONLINE").exists(), "the worker")
    wait_for(lambda: Schedule.objects.filter(name="count orders").exists(), "the worker's schedule")
    visitor = Visitor(browser, site, _cookie())
    for address in addresses():
        if only in address.name:
            visitor.look(address)
            tell(_line(visitor.sight(address.name)))
    seen = len(visitor.sights)
    for deed in DEEDS:
        if only in deed.__name__:
            deed(visitor)
    for sight in list(visitor.sights.values())[seen:]:
        tell(_line(sight))
    return list(visitor.sights.values())


def _cookie() -> dict[str, str]:
    client = Client()
    client.force_login(User.objects.get(username="anna"))
    return {"name": COOKIE, "value": client.cookies[COOKIE].value}


def _line(sight: Sight) -> str:
    looks = ", ".join(f"{look.total:.0f} ({look.database:.0f} of the database)" for look in sight.looks)
    return "\n    ".join([f"{sight.name}: {looks} ms", *sight.complaints])
