"""Enqueue what a shop would, and wait for the worker to run it; print the id of a job that failed for good."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from django_tasks_q import enqueue_many
from django_tasks_q.control import queues
from django_tasks_q.models import Job, Result, Worker

from ...tasks import charge, import_catalogue, make_thumbnail, nightly_report, send_receipt

LIMIT = 60.0  # seconds
PROJECT = Path(__file__).resolve().parents[3]
CHECKOUT = PROJECT.parents[1]


class Command(BaseCommand):
    help = __doc__

    def handle(self, **options: Any) -> None:
        get_user_model().objects.create_superuser("anna")
        wait_for(lambda: Worker.objects.filter(status="ONLINE").exists(), "the worker")
        failed = finish_some()
        leave_some()
        for result in Result.objects.filter(status="FAILED"):
            Result.objects.filter(pk=result.pk).update(errors=[with_usual_paths(entry) for entry in result.errors])
        self.stdout.write(failed)


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
    wait_for(lambda: Job.objects.filter(status="RUNNING").exists(), "the long job")


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
