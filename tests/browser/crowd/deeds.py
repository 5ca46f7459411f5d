"""What an operator does, while a worker runs."""

from playwright.sync_api import Page, expect

from django_tasks_q.models import Job, Queue, Result, Schedule
from django_tasks_q.monitoring.failures import newest_failures

from ...waiting import wait_for
from .pages import page as address
from .scene import EVIL
from .tasks import charge, copy
from .visitor import Visitor

__all__ = ["DEEDS"]


def cancel_what_runs(visitor: Visitor) -> None:
    job = copy.enqueue(3_000, EVIL)
    wait_for(lambda: Job.objects.filter(pk=job.id, status="RUNNING", progress__isnull=False).exists(), "progress")
    with visitor.page(visitor.sight("job, running")) as page:
        page.goto(address("job", "change", job.id))
        expect(page.locator("#content")).to_contain_text(EVIL)
    with visitor.page(visitor.sight("cancel what runs")) as page:
        page.goto(address("job", "change", job.id))
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".messagelist")).to_be_visible()
        wait_for(lambda: Result.objects.filter(pk=job.id, status="CANCELLED").exists(), "the end of the job")
        page.goto(address("job", "change", job.id))
        expect(page.locator("#content")).to_contain_text("Cancelled")


def pause_and_resume(visitor: Visitor) -> None:
    with visitor.page(visitor.sight("pause and resume a queue")) as page:
        page.goto(address("queue"))
        row = page.get_by_role("row").filter(has_text="search")
        row.get_by_role("button", name="Pause").click()
        expect(row.get_by_text("Paused", exact=True)).to_be_visible()
        assert Queue.objects.get(name="search").paused
        row.get_by_role("button", name="Resume").click()
        expect(row.get_by_role("button", name="Pause")).to_be_visible()


def retry_one(visitor: Visitor) -> None:
    failed = charge.enqueue(1, EVIL)
    wait_for(lambda: Result.objects.filter(pk=failed.id, status="FAILED").exists(), "the failure")
    with visitor.page(visitor.sight("retry one")) as page:
        page.goto(address("result", "change", failed.id))
        expect(page.locator("#content")).to_contain_text(EVIL)
        page.get_by_role("button", name="Retry", exact=True).click()
        expect(page.locator(".messagelist")).to_be_visible()
        wait_for(lambda: Result.objects.filter(pk=failed.id, status="FAILED", attempt=2).exists(), "the second run")


def retry_edited(visitor: Visitor) -> None:
    failed = Result.objects.filter(task_path=charge.module_path, status="FAILED").latest("finished_at")
    with visitor.page(visitor.sight("retry with other arguments")) as page:
        page.goto(address("result", "change", failed.pk))
        page.get_by_role("link", name="Retry with other arguments").click()
        page.locator("#id_arg-order").fill("2")
        page.get_by_role("button", name="Enqueue").click()
        wait_for(lambda: Result.objects.filter(parent_id=failed.pk, status="SUCCESSFUL").exists(), "the other job")


def retry_group(visitor: Visitor) -> None:
    group = Result.objects.filter(status="FAILED").exclude(error_group=None).order_by("finished_at")[0].error_group
    # Those that the page is about.
    alike = newest_failures(Result.objects.all())[0].filter(error_group=group)
    before = alike.count()
    with visitor.page(visitor.sight("retry a group")) as page:
        page.goto(address("result", "failures"))
        _retry(page, group)
        # It goes on by itself.
        expect(page.locator(".messagelist")).to_be_visible()
        assert not alike.exists(), f"{alike.count():,} of {before:,} failures were left"


def _retry(page: Page, group: str) -> None:
    row = page.get_by_role("row").filter(has=page.get_by_text(group.partition(" at ")[2], exact=True))
    row.get_by_role("button", name="Retry").click()
    page.get_by_role("button", name="Retry").click()


def run_schedule(visitor: Visitor) -> None:
    with visitor.page(visitor.sight("run, pause and resume a schedule")) as page:
        page.goto(address("schedule", "change", Schedule.objects.get(name="count orders").pk))
        page.get_by_role("button", name="Run now").click()
        expect(page.locator(".messagelist")).to_contain_text("This is its job")
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()


DEEDS = (cancel_what_runs, pause_and_resume, retry_one, retry_edited, run_schedule, retry_group)
