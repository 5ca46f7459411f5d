"""The dashboard in a browser: it refreshes itself, and nothing is lost under the reader."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from django_tasks_q import cron
from django_tasks_q.control import queues, schedules

from .. import scenes
from ..conftest import StartWorker
from ..tasks import boom, noop
from .chromium import PHONE
from .looks import LOOKS

HOME = reverse("admin:app_list", args=["django_tasks_q"])


@pytest.fixture
def busy(start_worker: StartWorker) -> None:
    for _ in range(3):
        noop.enqueue()
    boom.enqueue("x")
    scenes.jobs(2, queue_name="mail")
    now = datetime.now(UTC)
    for minutes in range(2, 50):
        scenes.count(minutes, now=now, successful=100, failed=minutes % 3, run_5=80, run_9=20, wait_4=90, wait_8=10)
    schedules.create("nightly report", cron("0 3 * * *", tz="Europe/Rome"), "tests.tasks.noop")
    start_worker("--concurrency", "2", "--exclude-queues", "mail")


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark phone"])
def test_it_is_accessible_and_nobody_complains(
    busy: None, open_page: Any, superuser: User, accessible: Callable[..., None], look: dict[str, Any]
) -> None:
    page = open_page(superuser, **look)
    page.goto(HOME)
    expect(page.locator(".tasksq-chart svg")).to_have_count(4)
    accessible(page, "#content")
    page.get_by_text("Charts as a table").click()
    accessible(page, "#content")


def test_no_part_is_wider_than_a_phone(busy: None, open_page: Any, superuser: User) -> None:
    page = open_page(superuser, viewport=PHONE)
    page.goto(HOME)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_it_refreshes_itself_and_keeps_what_the_reader_has_done(busy: None, page: Page) -> None:
    page.goto(HOME)
    expect(page.get_by_text("No worker listens to the queue “mail”")).to_be_visible()
    page.get_by_text("Charts as a table").click()
    page.get_by_role("link", name="mail", exact=True).first.focus()
    page.evaluate("window.scrollTo(0, 300)")
    page.evaluate("window.isTheSamePage = true")
    scenes.jobs(5, queue_name="mail")
    queues.pause("mail")
    expect(page.get_by_text("The queue “mail” is paused, with 7 jobs ready.")).to_be_visible()
    expect(page.locator("#tasksq-data")).to_have_attribute("open", "")
    expect(page.get_by_role("link", name="mail", exact=True).first).to_be_focused()
    assert page.evaluate("[window.isTheSamePage, Math.abs(window.scrollY - 300) < 120]") == [True, True]


def test_it_can_be_stopped_and_started(busy: None, page: Page) -> None:
    page.goto(HOME)
    page.get_by_role("button", name="Stop refreshing").click()
    scenes.jobs(5, queue_name="mail")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(6_500)
    assert asked == []
    page.get_by_role("button", name="Resume refreshing").click()
    expect(page.get_by_text("ready jobs: 7.")).to_be_visible()


def test_it_says_so_where_the_server_does_not_answer(busy: None, page: Page) -> None:
    page.goto(HOME)

    def break_off(route: Route) -> None:
        # A status, because a connection that is refused is an error in the console.
        route.fulfill(status=200, body="<p>Maintenance</p>", content_type="text/html")

    page.route(f"**{HOME}", break_off)
    expect(page.get_by_role("status")).to_contain_text("the server does not respond")
    page.unroute(f"**{HOME}")
    expect(page.get_by_role("status")).to_have_text("")


def test_without_scripts_it_reloads(busy: None, open_page: Any, superuser: User) -> None:
    page = open_page(superuser, java_script_enabled=False)
    page.goto(HOME)
    expect(page.locator('meta[http-equiv="refresh"]')).to_have_count(1)
    expect(page.locator(".tasksq-chart svg")).to_have_count(4)
