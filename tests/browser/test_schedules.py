"""The form of a schedule in a browser: what it shows as one types, and what a worker makes of it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from django_tasks_q import cron, every
from django_tasks_q.control import schedules
from django_tasks_q.models import Result, Schedule

from ..waiting import wait_for
from ..workers import WorkerProcess
from .looks import EVIL, LOOKS

LIST = "django_tasks_q_schedule_changelist"


def field(page: Page, name: str) -> Locator:
    return page.locator(f"#id_{name}")


@pytest.fixture
def some(transactional_db: None) -> None:
    """Schedules in every state, with names that are not to be believed."""
    schedules.create("reports", cron("0 3 * * mon-fri", tz="Europe/Rome"), "tests.tasks.add", args=[1, 2])
    schedules.create(EVIL, cron("*/20 * * * *", tz="America/New_York"), "tests.tasks.noop", kwargs={"x": EVIL})
    schedules.create("heartbeat", every(seconds=10), "tests.tasks.noop", catch_up="none")
    schedules.create("over", every(hours=1), "tests.tasks.noop", max_runs=1)
    Schedule.objects.filter(name="over").update(next_run_at=None, reason="It has run as often as it may.")
    schedules.pause("heartbeat", by="alice")
    schedules.create("broken", every(hours=1), "tests.tasks.noop")
    Schedule.objects.filter(name="broken").update(enabled=False, next_run_at=None, reason=f"No such task {EVIL}")
    Schedule.objects.filter(name="heartbeat").update(origin="code")


def test_a_schedule_is_made_run_and_paused(worker: WorkerProcess, visit: Any) -> None:
    page: Page = visit("django_tasks_q_schedule_add")
    words = page.locator("[data-part=words]")
    expect(words).to_contain_text("Enter when it runs")
    field(page, "name").fill("sums")
    field(page, "task_path").select_option("tests.tasks.add")
    field(page, "cron").fill("61 * * * *")
    expect(words.locator(".tasksq-problem")).to_contain_text("61")
    field(page, "cron").fill("30 4 1 1 *")
    expect(words).to_contain_text("At 04:30")
    expect(words).to_contain_text("The arguments do not fit tests.tasks.add")
    field(page, "args").fill("[40, 2]")
    expect(words.locator(".tasksq-problem")).to_have_count(0)
    expect(page.locator(".tasksq-slots tbody tr")).to_have_count(10)
    page.get_by_role("button", name="Save", exact=True).click()

    row = page.get_by_role("row").filter(has_text="sums")
    row.get_by_role("button", name="Run now").click()
    expect(page.locator(".messagelist")).to_contain_text("A job of “sums” was enqueued.")
    wait_for(Result.objects.filter(status="SUCCESSFUL").exists, "the job's result")
    assert Result.objects.get().return_value == 42
    page.get_by_role("link", name="sums").first.click()
    runs = page.locator("section", has=page.get_by_role("heading", name="Last runs"))
    expect(runs).to_contain_text("Run by an operator")
    runs.get_by_role("link").click()
    expect(page.locator("#content")).to_contain_text("Successful")
    page.get_by_role("link", name="sums").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#content .tasksq-facts").first).to_contain_text("Paused")
    assert Schedule.objects.get().next_run_at is None


def test_only_the_fields_of_the_chosen_kind_are_there(visit: Any) -> None:
    page: Page = visit("django_tasks_q_schedule_add")
    every_field = field(page, "every")
    expect(every_field).to_be_hidden()
    field(page, "kind").select_option("interval")
    expect(every_field).to_be_visible()
    expect(field(page, "cron")).to_be_hidden()
    every_field.fill("90")
    field(page, "unit").select_option("60")
    expect(page.locator("[data-part=words]")).to_contain_text("Every 90 minutes")


def test_without_a_script_a_button_shows_the_preview(open_page: Any, superuser: User) -> None:
    page: Page = open_page(superuser, java_script_enabled=False)
    page.goto(reverse("admin:django_tasks_q_schedule_add"))
    for name in ("cron", "every", "moment", "latitude"):
        expect(field(page, name)).to_be_visible()
    field(page, "name").fill("each hour")
    field(page, "task_path").select_option("tests.tasks.noop")
    field(page, "cron").fill("@hourly")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("[data-part=words]")).to_contain_text(re.compile("every hour", re.I))
    expect(page.locator(".tasksq-slots tbody tr")).to_have_count(10)
    expect(page.locator(".errornote")).to_have_count(0)
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark phone"])
def test_the_pages_are_accessible_and_nobody_complains(
    some: None, open_page: Any, superuser: User, accessible: Callable[..., None], look: dict[str, Any]
) -> None:
    page: Page = open_page(superuser, **look)
    page.goto(reverse(f"admin:{LIST}"))
    accessible(page, "#content")
    for name in ("reports", "heartbeat", EVIL):
        schedules.run_now(name)
        page.goto(reverse("admin:django_tasks_q_schedule_change", args=[Schedule.objects.get(name=name).pk]))
        expect(page.locator("[data-part=slots] tbody tr")).to_have_count(10)
        accessible(page, "#content")
