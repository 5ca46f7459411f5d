"""The admin's pages as a browser sees them, with a running worker."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from django_tasks_q.models import Result, Worker

from .. import scenes
from ..conftest import StartWorker
from ..tasks import boom, noop
from ..waiting import wait_for
from ..workers import WorkerProcess
from .looks import EVIL


@pytest.fixture
def finished(start_worker: StartWorker) -> None:
    """One job that succeeded and one that failed, run by a worker that stays; and two that nobody listens to."""
    noop.enqueue()
    boom.enqueue(EVIL)
    scenes.jobs(2, queue_name="mail", args=[EVIL])
    start_worker("--concurrency", "2", "--exclude-queues", "mail")
    wait_for(lambda: Result.objects.count() == 2, "two results")


def test_a_failure_is_found_and_retried(finished: None, visit: Any) -> None:
    page: Page = visit("django_tasks_q_result_changelist", query="?status=FAILED")
    page.locator("#result_list th a").first.click()
    expect(page.locator("#content")).to_contain_text("ValueError")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator(".messagelist")).to_be_visible()


def test_what_others_wrote_is_text(finished: None, visit: Any) -> None:
    page: Page = visit("django_tasks_q_result_changelist", query="?status=FAILED")
    expect(page.locator("#result_list")).to_contain_text("<script>alert('x')</script>")
    page.locator("#result_list th a").first.click()
    expect(page.locator("#content")).to_contain_text("<img src=x onerror=alert(1)>")


def test_a_queue_is_paused_and_resumed(finished: None, visit: Any) -> None:
    page: Page = visit("django_tasks_q_queue_changelist")
    row = page.get_by_role("row").filter(has_text="mail")
    row.get_by_role("button", name="Pause").click()
    expect(row.get_by_text("Paused", exact=True)).to_be_visible()
    row.get_by_role("button", name="Resume").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()


def test_a_worker_that_has_gone_is_seen(worker: WorkerProcess, visit: Any) -> None:
    page: Page = visit("django_tasks_q_worker_changelist")
    expect(page.locator("#result_list")).to_contain_text("Online")
    worker.stop()
    wait_for(lambda: Worker.objects.filter(stopped_at__isnull=False).exists(), "the worker to leave")
    page.reload()
    expect(page.locator("#content")).to_contain_text("Offline")
