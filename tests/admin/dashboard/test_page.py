"""The dashboard: what it shows, and to whom."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation

from django_tasks_q import cron, every
from django_tasks_q.control import queues, schedules
from django_tasks_q.models import Job, Schedule

from ... import scenes
from ...tasks import boom
from ..pages import address, text

pytestmark = pytest.mark.django_db

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>"


def show(client: Client, **query: str) -> Any:
    return client.get(reverse("admin:app_list", args=["django_tasks_q"]), query)


@pytest.fixture
def busy() -> None:
    scenes.add_worker("web-1", memory=50_000_000)
    scenes.jobs(3, queue_name="mail")
    queues.pause("mail")
    scenes.running(1, worker="web-1")
    scenes.results(2)
    scenes.results(1, status="FAILED", task=boom, args=["x"])
    scenes.count(3, successful=2, failed=0, run_5=2, wait_5=2)
    scenes.count(4, task_path="tests.tasks.boom", failed=1, retried=2, run_3=3)
    schedules.create("nightly", cron("0 3 * * *", tz="Europe/Rome"), "tests.tasks.noop")


def test_everything_is_on_one_page(busy: None, admin_client: Client) -> None:
    page = show(admin_client)
    shown = text(page)
    assert "Warning The queue “mail” is paused, with 3 jobs ready. Resume it" in shown
    assert "manage.py tasks resume mail" in shown
    assert "Ready 3 Running 1 Scheduled 0 Workers 1" in shown
    assert "Failed in the last hour 1 33.3%" in shown
    assert "web-1" in shown
    assert re.search(r"Running now .* tests\.tasks\.noop", shown)
    assert "tests.tasks.boom 1 100.0% 2 0" in shown
    assert len(page.context["charts"]) == 4
    for path in (address("job"), address("queue"), address("result"), address("worker"), address("schedule")):
        assert path in page.content.decode()


def test_it_says_that_all_is_well(admin_client: Client) -> None:
    assert "No worker is alive" in text(show(admin_client))
    scenes.add_worker()
    assert "All is well." in text(show(admin_client))


@pytest.mark.parametrize(
    ("permission", "seen"),
    [
        ("view_queue", {"Oldest ready", "paused"}),
        ("view_job", {"Running now"}),
        ("view_worker", {"Last heartbeat"}),
        ("view_result", {"Slowest tasks", "Finished per minute"}),
        ("view_schedule", {"Next schedules", "nightly"}),
    ],
)
def test_one_sees_what_one_may_view(busy: None, log_in: Any, permission: str, seen: set[str]) -> None:
    everything = {"Oldest ready", "paused", "Running now", "Last heartbeat", "Slowest tasks", "Finished per minute"}
    everything |= {"Next schedules", "nightly"}
    page = show(log_in(permission))
    shown = text(page)
    assert {word for word in everything if word in shown} == seen
    linked = set(re.findall(r'href="/admin/django_tasks_q/(\w+)/', page.content.decode()))
    assert linked == {permission.removeprefix("view_")}


def test_nobody_else_sees_it(client: Client, log_in: Any) -> None:
    assert show(client).status_code == 302
    assert show(log_in()).status_code == 404


@pytest.mark.parametrize("span", ["hour", "day", "week", "century"])
def test_one_chooses_how_far_to_look_back(busy: None, admin_client: Client, span: str) -> None:
    page = show(admin_client, span=span)
    points = {"hour": 60, "day": 48, "week": 56, "century": 60}[span]
    assert len(page.context["charts"][0].steps) == points
    assert page.content.decode().count('aria-current="true"') == 1


def test_charts_have_a_text_alternative(busy: None, admin_client: Client) -> None:
    body = show(admin_client).content.decode()
    for chart in re.findall(r"<svg viewBox.*?</svg>", body, re.DOTALL):
        [title, description] = re.search(r'role="img" aria-labelledby="(\S+) (\S+)"', chart).groups()  # type: ignore[union-attr]
        assert f'<title id="{title}">' in chart
        assert re.search(rf'<desc id="{description}">[^<]+<', chart)
    assert "2 successful, 1 failed" in body
    assert "Charts as a table" in body


def test_the_next_schedules_are_those_that_run_first(admin_client: Client, settings: Any, broker: Any) -> None:
    settings.TASKS = dict.fromkeys(("default", "other"), settings.TASKS["default"])
    assert "No schedules are due to run." in text(show(admin_client))
    for hours in range(9, 1, -1):
        row = schedules.create(f"in-{hours}", every(hours=hours), "tests.tasks.noop")
        Schedule.objects.filter(pk=row.pk).update(next_run_at=broker.dialect.now() + timedelta(hours=hours, minutes=1))
    schedules.pause("in-3")
    schedules.create("elsewhere", every(hours=1), "tests.tasks.noop")
    Schedule.objects.filter(name="elsewhere").update(backend="other")
    page = show(admin_client)
    body = page.content.decode()
    assert re.findall(r">(in-\d|elsewhere)</a>", body) == [f"in-{hours}" for hours in (2, 4, 5, 6, 7)]
    assert f'href="{address("schedule", "change", row.pk)}' in body
    assert "elsewhere" in text(show(admin_client, backend="other"))
    assert "in-2 every 2 hours in 2 h" in text(page)


def test_a_strict_policy_is_enough(busy: None, admin_client: Client) -> None:
    body = show(admin_client).content.decode()
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=|javascript:", body)
    assert set(re.findall(r'(?:src|href)="(https?:)?//', body)) == set()


def test_whatever_was_written_by_others_is_text(admin_client: Client) -> None:
    scenes.add_worker("x", queues=[EVIL], host=EVIL, silent_for=60)
    scenes.running(1, worker=EVIL[:60])
    scenes.jobs(1, queue_name=EVIL)
    scenes.count(2, task_path=EVIL, queue_name=EVIL, failed=9, run_3=9)
    schedules.create("x", every(hours=1), "tests.tasks.noop")
    Schedule.objects.update(name=EVIL, expression=EVIL)
    body = show(admin_client).content.decode()
    assert "<script>alert" not in body
    assert "<img src=x" not in body
    assert "&lt;script&gt;" in body


def test_what_runs_shows_how_far_it_is(admin_client: Client) -> None:
    [key] = scenes.running(1, worker="web-1")
    told = {"done": 25, "total": 100, "message": EVIL, "at": "2026-11-21T12:00:00+00:00"}
    Job.objects.filter(pk=key).update(progress=told)
    page = show(admin_client)
    assert re.search(r"25 of 100 \(25 %\), <script>alert", text(page))
    assert "<script>alert" not in page.content.decode()
    assert '<meter max="100" value="25"' in page.content.decode()
    assert "cancellation requested" not in text(page)
    admin_client.post(address("job", "cancel", key))
    assert "cancellation requested" in text(show(admin_client))


@pytest.mark.parametrize(("done", "total"), [(5, None), (5, 0), (-5, 10), (50, 10)])
def test_progress_may_be_any_number(admin_client: Client, done: float, total: float | None) -> None:
    [key] = scenes.running(1, worker="web-1")
    Job.objects.filter(pk=key).update(
        progress={"done": done, "total": total, "message": "", "at": "2026-11-21T12:00:00+00:00"}
    )
    body = show(admin_client).content.decode()
    shown = re.findall(r'<meter max="100" value="(\d+)" aria-label="Progress"', body)
    assert [int(value) for value in shown] == ([] if not total else [0 if done < 0 else 100])


def test_a_backend_is_chosen_where_there_are_several(settings: Any, admin_client: Client) -> None:
    settings.TASKS = dict.fromkeys(("default", "other"), settings.TASKS["default"])
    scenes.jobs(2, queue_name="here")
    scenes.jobs(1, queue_name="there", backend="other")
    assert "here" in text(show(admin_client))
    shown = text(show(admin_client, backend="other"))
    assert "there" in shown
    assert "queue=there&amp;status=READY&amp;backend=other" in show(admin_client, backend="other").content.decode()
    assert "here" in text(show(admin_client, backend="nonsense"))


def test_it_says_where_nothing_is_counted(settings: Any, admin_client: Client) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"statistics": False}}}
    assert 'OPTIONS["statistics"] is off' in text(show(admin_client))


def test_it_can_be_shown_in_another_language(busy: None, admin_client: Client) -> None:
    with translation.override("de"):
        assert show(admin_client).status_code == 200


def test_coordinates_have_a_point_in_every_language(busy: None, admin_client: Client, settings: Any) -> None:
    settings.LANGUAGE_CODE, settings.USE_THOUSAND_SEPARATOR = "de", True
    body = show(admin_client).content.decode()
    for chart in re.findall(r"<svg viewBox.*?</svg>", body, re.DOTALL):
        for coordinate in re.findall(r'\s(?:x|y|x1|y1|width|height)="([^"]*)"', chart):
            assert re.fullmatch(r"-?\d+(\.\d+)?", coordinate)


def test_another_site_can_put_the_summary_on_its_index(busy: None, admin_user: User) -> None:
    request = RequestFactory().get("/")
    request.user = admin_user
    request.current_app = AdminSite("operations").name  # type: ignore[attr-defined]
    page = Template("{% load tasksq %}{% tasksq_summary %}").render(Context({"request": request}))
    assert "The queue “mail” is paused" in page
    assert "Finished per minute" in page
    assert "<svg" not in page


def test_the_summary_is_empty_for_who_may_see_nothing(busy: None) -> None:
    request = RequestFactory().get("/")
    request.user = User.objects.create_user("nobody")
    assert Template("{% load tasksq %}{% tasksq_summary %}").render(Context({"request": request})).strip() == ""


def test_the_summary_does_not_stand_on_the_dashboard_too(
    busy: None, admin_client: Client, settings: Any, tmp_path: Path
) -> None:
    page = '{% extends "admin/index.html" %}{% load tasksq %}{% block content %}{% tasksq_summary %}{{ block.super }}'
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "index.html").write_text(page + "{% endblock %}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    index = admin_client.get(reverse("admin:index")).content.decode()
    assert index.count("tasksq-summary") > 0
    body = show(admin_client).content.decode()
    assert "tasksq-summary" not in body
    assert body.count("data-tasksq-dashboard") == 1
    assert address("worker") in body
