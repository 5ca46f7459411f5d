"""Every page, in the light, and in the dark on a phone: accessible, no wider than the screen, nobody complains.

What others wrote is on each of them; the strict Content-Security-Policy is on all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from django_tasks_q import cron
from django_tasks_q.admin.actions import steps as batches
from django_tasks_q.control import jobs as control
from django_tasks_q.control import queues, schedules
from django_tasks_q.models import Job, JobLog, Result, Schedule, Worker

from .. import scenes
from ..tasks import boom, echo
from .looks import EVIL, LOOKS

TRACEBACK = f"""Traceback (most recent call last):
  File "/srv/shop/payments.py", line 87, in charge
    answer = self.session.post(self.url, json=order, headers=self.headers(order), timeout=self.settings.timeout)
  File "/srv/venv/lib/python3.13/site-packages/requests/sessions.py", line 637, in post
    return self.request("POST", url, data=data, json=json, **kwargs)
ValueError: {EVIL}
"""
ERROR = {
    "exception": "builtins.ValueError", "group": f"builtins.ValueError at {EVIL}", "traceback": TRACEBACK,
    "worker": EVIL[:60], "attempt": 1, "kind": "error", "started_at": "2026-11-21T12:00:00+00:00",
    "finished_at": "2026-11-21T12:00:01+00:00",
}  # fmt: skip

LINES = [[1_795_000_000.5, "INFO", "shop.orders", "A line that is long enough to be wrapped on a phone"], [
    1_795_000_001.5, EVIL[:20], EVIL, f"Logged: {EVIL}",
]]  # fmt: skip


@pytest.fixture
def scene(transactional_db: None) -> None:
    """Rows of every kind, with hostile text everywhere."""
    scenes.add_worker("web-1", memory=50_000_000)
    scenes.add_worker(EVIL[:60], queues=[EVIL], host=EVIL, silent_for=60)
    scenes.jobs(2, task=echo, args=[EVIL, {"key": EVIL}], queue_name=EVIL)
    asked, other = scenes.running(2, worker="web-1")
    for key in (asked, other):
        scenes.log(key, LINES, worker="web-1")
    told = {"done": 25, "total": 100, "message": EVIL, "at": "2026-11-21T12:00:00+00:00"}
    Job.objects.filter(status="RUNNING").update(progress=told)
    control.cancel([asked], by=EVIL)
    scenes.results(3, queue_name="mail", return_value=EVIL)
    scenes.results(
        3, "FAILED", task=boom, args=[EVIL], queue_name="mail", errors=[ERROR], reason=f"ValueError: {EVIL}"
    )
    failed = Result.objects.filter(status="FAILED")
    failed.update(error_group=ERROR["group"])
    JobLog.objects.bulk_create([JobLog(job_id=row.pk, attempt=1, entries=LINES) for row in failed])
    scenes.count(3, task_path=EVIL, queue_name=EVIL, successful=20, failed=9, run_5=9, wait_5=9)
    schedules.create(EVIL, cron("*/20 * * * *", tz="America/New_York"), "tests.tasks.noop", kwargs={"x": EVIL})
    queues.pause("mail")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of page: where it is, once there are rows; and a text that has to be on it."""

    path: Callable[[], str]
    text: str


def place(model: str, view: str = "changelist", *args: Any, query: str = "") -> str:
    return reverse(f"admin:django_tasks_q_{model}_{view}", args=args) + query


def first(model: type[Any], **wanted: Any) -> Any:
    return model.objects.filter(**wanted).order_by("pk")[0].pk


PAGES = {
    "dashboard": Kind(lambda: reverse("admin:app_list", args=["django_tasks_q"]), "25 of 100 (25 %)"),
    "jobs": Kind(lambda: place("job"), EVIL),
    "job": Kind(lambda: place("job", "change", first(Job, status="READY")), EVIL),
    "running job": Kind(lambda: place("job", "change", first(Job, status="RUNNING")), f"Logged: {EVIL}"),
    "results": Kind(lambda: place("result"), EVIL),
    "result": Kind(lambda: place("result", "change", first(Result, status="SUCCESSFUL")), EVIL),
    "failed result": Kind(lambda: place("result", "change", first(Result, status="FAILED")), f"Logged: {EVIL}"),
    "history": Kind(lambda: place("result", "history", first(Result, status="FAILED")), "history"),
    "failures": Kind(lambda: place("result", "failures"), EVIL),
    "tasks to enqueue": Kind(lambda: place("job", "enqueue"), "tests.tasks.boom"),
    "enqueue": Kind(lambda: place("job", "enqueue", query="?task=tests.tasks.boom"), "tests.tasks.boom"),
    "edited retry": Kind(lambda: place("result", "edit", first(Result, status="FAILED")), "This enqueues a new job"),
    "queues": Kind(lambda: place("queue"), EVIL),
    "workers": Kind(lambda: place("worker"), "web-1"),
    "worker": Kind(lambda: place("worker", "change", first(Worker, status="ONLINE")), EVIL[:60]),
    "schedules": Kind(lambda: place("schedule"), EVIL),
    "schedule": Kind(lambda: place("schedule", "change", first(Schedule)), "New_York"),
    "new schedule": Kind(lambda: place("schedule", "add"), "Enter when it runs"),
}  # fmt: skip


def fits(page: Page) -> bool:
    page.wait_for_load_state()
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_fit_for_everybody(
    scene: None, open_page: Any, superuser: User, accessible: Callable[..., None], name: str
) -> None:
    path = PAGES[name].path()
    for look in LOOKS:
        page: Page = open_page(superuser, **look)
        response = page.goto(path)
        assert response is not None
        assert response.status == 200
        assert "default-src 'self'" in response.headers["content-security-policy"]
        expect(page.locator("#content")).to_contain_text(PAGES[name].text)
        accessible(page, "#content")
        assert fits(page), look


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark phone"])
def test_what_asks_and_goes_on_is_fit_for_everybody(
    scene: None,
    open_page: Any,
    superuser: User,
    accessible: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    look: dict[str, Any],
) -> None:
    monkeypatch.setattr(batches, "BATCH", 1)
    monkeypatch.setattr(batches, "STEP", 0.0)
    # Without a script it waits for a button, so that one can look at each page.
    page: Page = open_page(superuser, java_script_enabled=False, **look)
    page.goto(place("result", "failures"))
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".tasksq-question")).to_contain_text("3")
    assert fits(page)
    page.get_by_role("button", name="Retry").click()
    for seen in "123":
        expect(page.locator("progress")).to_have_attribute("value", seen)
        assert fits(page)
        page.get_by_role("button", name="Continue").click()
    expect(page.locator(".messagelist")).to_be_visible()
    assert not Result.objects.filter(status="FAILED").exists()


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark phone"])
def test_the_question_is_accessible(
    scene: None, open_page: Any, superuser: User, accessible: Callable[..., None], look: dict[str, Any]
) -> None:
    page: Page = open_page(superuser, **look)
    page.goto(place("result", "failures"))
    page.get_by_role("button", name="Discard").click()
    expect(page.locator(".tasksq-question")).to_contain_text("3")
    accessible(page, "#content")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".messagelist")).to_be_visible()
    assert not Result.objects.filter(status="FAILED").exists()
