"""The pages that are looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.http import urlencode

from django_tasks_q.models import Job, Result, Schedule, Worker

__all__ = ["Address", "addresses", "page"]


@dataclass(frozen=True, slots=True)
class Address:
    """A page by the name that the report has. is_page: it is not an answer in JSON."""

    name: str
    url: str
    is_page: bool = True


def page(model: str, view: str = "changelist", *args: Any, **query: Any) -> str:
    address = reverse(f"admin:django_tasks_q_{model}_{view}", args=args)
    return f"{address}?{urlencode(query)}" if query else address


def addresses() -> Iterator[Address]:
    """Yield every kind of page, and the lists with each of their filters."""
    yield from _dashboard()
    yield from _jobs()
    yield from _results()
    yield Address("queues", page("queue"))
    yield Address("workers", page("worker"))
    yield Address("worker", page("worker", "change", Worker.objects.filter(status="ONLINE").latest("started_at").pk))
    yield Address("schedules", page("schedule"))
    yield Address("schedule", page("schedule", "change", Schedule.objects.get(name="count orders").pk))
    yield Address("schedule, add", page("schedule", "add"))
    for name in ("summary", "queues", "workers", "jobs", "statistics", "schedules", "health"):
        yield Address(f"JSON, {name}", reverse(f"django_tasks_q:api_{name}"), is_page=False)
    week = reverse("django_tasks_q:api_statistics") + "?span=week"
    yield Address("JSON, statistics of a week", week, is_page=False)


def _dashboard() -> Iterator[Address]:
    home = reverse("admin:app_list", args=["django_tasks_q"])
    for span in ("hour", "day", "week"):
        yield Address(f"dashboard, {span}", f"{home}?span={span}")


def _jobs() -> Iterator[Address]:
    yield Address("jobs", page("job"))
    for status in ("READY", "SCHEDULED", "WAITING", "RUNNING"):
        yield Address(f"jobs, {status.lower()}", page("job", status=status))
    yield Address("jobs, one queue", page("job", queue="mail"))
    yield Address("jobs, one queue, ready", page("job", queue="mail", status="READY"))
    yield Address("jobs, one task", page("job", task="shop.tasks.task_08"))
    yield Address("jobs, past hour", page("job", enqueued="hour"))
    yield Address("jobs, page 100", page("job", p=100))
    yield Address("jobs, search for a task", page("job", q="task_08"))
    yield Address("jobs, search for no task", page("job", q="no such task"))
    yield Address("jobs, search for an argument", page("job", q="kwargs.order_id=190000"))
    for status in ("READY", "SCHEDULED", "WAITING"):
        row = Job.objects.filter(status=status, queue_name="mail" if status == "READY" else "images").first()
        # Not every queue has one of each.
        row = row or Job.objects.filter(status=status).first()
        if row is not None:
            yield Address(f"job, {status.lower()}", page("job", "change", row.pk))
    yield Address("job, history", page("job", "history", Job.objects.filter(queue_name="mail").latest("id").pk))
    yield Address("enqueue", page("job", "enqueue"))
    yield Address("enqueue, arguments", page("job", "enqueue", task="tests.browser.crowd.tasks.charge"))


def _results() -> Iterator[Address]:
    yield Address("results", page("result"))
    for status in ("SUCCESSFUL", "FAILED", "CANCELLED"):
        yield Address(f"results, {status.lower()}", page("result", status=status))
    yield Address("results, one queue", page("result", queue="mail"))
    yield Address("results, one task", page("result", task="shop.tasks.task_07"))
    yield Address("results, one task, failed", page("result", task="shop.tasks.task_07", status="FAILED"))
    for age in ("hour", "day", "week", "month"):
        yield Address(f"results, past {age}", page("result", finished=age))
    yield Address("results, failed, past day", page("result", finished="day", status="FAILED"))
    yield Address("results, page 100", page("result", p=100))
    older = Result.objects.order_by("pk")[Result.objects.count() // 2]
    yield Address("results, further down", page("result", older=older.pk))
    moment = older.finished_at.isoformat()
    yield Address("results, failed, further down", page("result", older=moment, status="FAILED"))
    yield Address("results, from a moment on", page("result", older=moment))
    yield Address("results, search for a task", page("result", q="task_07"))
    yield Address("results, search for no task", page("result", q="no such task"))
    yield Address("results, search for an argument", page("result", q="kwargs.order_id=999000"))
    for status in ("SUCCESSFUL", "FAILED"):
        newest = Result.objects.filter(status=status).order_by("-finished_at")[0]
        yield Address(f"result, {status.lower()}", page("result", "change", newest.pk))
    old = Result.objects.filter(status="FAILED").order_by("finished_at")[0]
    yield Address("result, history", page("result", "history", old.pk))
    yield Address("result, retry with other arguments", page("result", "edit", old.pk))
    yield Address("failures", page("result", "failures"))
    for age in ("hour", "day", "week"):
        yield Address(f"failures, past {age}", page("result", "failures", within=age))
    yield Address("results, one error", page("result", status="FAILED", error=old.error_group))
