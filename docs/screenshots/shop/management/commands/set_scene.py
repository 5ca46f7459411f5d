"""Enqueue what a shop would, and wait for the worker to run it; print the id of a job that failed for good."""

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from django_tasks_q import Task, cron, enqueue_many, every
from django_tasks_q.control import queues, schedules
from django_tasks_q.models import Job, Result, Schedule, Statistics, Worker

from ...tasks import charge, import_catalogue, make_thumbnail, nightly_report, send_receipt

RECEIPT, THUMBNAIL = "shop.tasks.send_receipt", "shop.tasks.make_thumbnail"
LIMIT = 60.0  # seconds
PROJECT = Path(__file__).resolve().parents[3]
CHECKOUT = PROJECT.parents[1]


class Command(BaseCommand):
    help = __doc__

    def handle(self, **options: Any) -> None:
        get_user_model().objects.create_superuser("anna")
        wait_for(lambda: Worker.objects.filter(status="ONLINE").exists(), "the worker")
        make_schedules()
        failed = finish_some()
        leave_some()
        remember_an_hour()
        for result in Result.objects.filter(status="FAILED"):
            Result.objects.filter(pk=result.pk).update(errors=[with_usual_paths(entry) for entry in result.errors])
        self.stdout.write(failed)


def make_schedules() -> None:
    """Make an operator's schedules, one in each state."""
    address = {"address": "office@example.com"}
    schedules.create("weekly receipt", cron("0 9 * * mon", tz="America/New_York"), RECEIPT, args=[1], kwargs=address)
    schedules.create("new thumbnails", every(hours=6), THUMBNAIL, args=["media/new.jpg", [80, 60]])
    schedules.pause("new thumbnails", by="anna")
    schedules.create("old import", cron("@hourly"), "shop.tasks.import_catalogue", args=["https://example.com"])
    # As a worker leaves it that finds no such task.
    reason = "There is no task “shop.tasks.import_prices”."
    Schedule.objects.filter(name="old import").update(enabled=False, next_run_at=None, reason=reason)
    for _ in range(3):
        schedules.run_now("weekly receipt")


def finish_some() -> str:
    nightly_report.enqueue("2026-11-20")
    enqueue_many([(send_receipt, (n,), {"address": f"customer-{n}@example.com"}) for n in range(1040, 1100)])
    enqueue_many([(charge, (n, "49.90"), {}) for n in range(1040, 1044)])
    thumbnail = make_thumbnail.enqueue("media/catalogue/0042.heic", [320, 240])
    wait_for(lambda: not Job.objects.exists(), "the jobs")
    return str(thumbnail.id)


def leave_some() -> None:
    """Leave jobs of every kind: one that runs, one for later, some in a paused queue, some that nobody listens to."""
    queues.pause("images")
    enqueue_many([(make_thumbnail, (f"media/catalogue/{n:04}.jpg", [320, 240]), {}) for n in range(43, 55)])
    enqueue_many([(send_receipt.using(queue_name="bulk"), (n,), {"address": ""}) for n in range(40)])
    nightly_report.using(run_after=timezone.now() + timedelta(hours=5, minutes=1)).enqueue("2026-11-21")
    import_catalogue.using(priority=5).enqueue("https://supplier.example.com/catalogue.xml")
    wait_for(lambda: Job.objects.filter(status="RUNNING", progress__isnull=False).exists(), "the long job")


def remember_an_hour() -> None:
    """Write what workers would have counted in the last hour: a shop in the evening, and a slow payment service."""
    now = timezone.now().replace(second=0, microsecond=0)
    dice = random.Random(1)  # noqa: S311
    for minute in range(2, 60):
        late = max(0, 14 - abs(minute - 18))
        remember(now, minute, send_receipt, dice.randint(90, 130) + late * 4, 0, runs=5, waits=3 + late // 4)
        remember(now, minute, make_thumbnail, dice.randint(20, 40), dice.randint(0, 1), runs=6, waits=4)
        failed = dice.randint(0, 1) + late // 4
        remember(now, minute, charge, dice.randint(12, 20), failed, runs=9, waits=4 + late // 3)


def remember(now: datetime, minute: int, task: Task, successful: int, failed: int, *, runs: int, waits: int) -> None:
    """runs, waits: the bucket in which most of the times lie."""
    number = successful + failed
    columns = {
        "successful": successful, "failed": failed, "retried": failed, f"run_{runs}": number * 3 // 4,
        f"run_{runs + 2}": number // 4, f"wait_{waits}": number * 3 // 4, f"wait_{waits + 1}": number // 4,
    }  # fmt: skip
    key = {"queue_name": task.queue_name, "task_path": task.module_path, "at": now - timedelta(minutes=minute)}
    Statistics.objects.create(backend="default", period=60, **key, **columns)


def with_usual_paths(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an error as a project would have it: where this checkout lies is of no interest."""
    text = (
        entry["traceback"].replace(str(PROJECT), "/srv/shop").replace(str(CHECKOUT), "/srv/shop/.venv/site-packages")
    )
    return entry | {"traceback": text}


def wait_for(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise CommandError(f"Waited {LIMIT:g} s in vain for {what}.")
        time.sleep(0.1)
