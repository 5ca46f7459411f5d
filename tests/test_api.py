"""The JSON API: who may ask, and what is answered."""

import logging
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from django_tasks_q import cron, every
from django_tasks_q.brokers import get_broker
from django_tasks_q.conf import find_problems
from django_tasks_q.control import schedules
from django_tasks_q.models import Schedule

from . import scenes

pytestmark = pytest.mark.django_db

TOKEN = "a-token-of-enough-length"
# What staff must have the right to view.
NEEDED = {
    "summary": {"job", "result", "queue", "worker", "schedule"},
    "queues": {"queue"},
    "workers": {"worker"},
    "jobs": {"job", "result"},
    "statistics": {"result"},
    "schedules": {"schedule"},
    "health": {"job", "queue", "worker"},
}


@pytest.fixture(autouse=True)
def one_backend(settings: Any) -> None:
    settings.TASKS = {"default": settings.TASKS["default"]}


@pytest.fixture
def with_token(settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"api_token": TOKEN}}}


def ask(client: Client, name: str, token: str | None = None, **query: str) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return client.get(reverse(f"django_tasks_q:api_{name}"), query, headers=headers)


def staff(*models: str, **given: Any) -> Client:
    user = User.objects.create_user("alice", **{"is_staff": True} | given)
    names = [f"view_{model}" for model in models]
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="django_tasks_q", codename__in=names))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("name", NEEDED)
def test_nobody_is_let_in_without_a_right(client: Client, name: str) -> None:
    response = ask(client, name)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert ask(client, name, token="").status_code == 401
    # No token is set: none is right.
    assert ask(client, name, token="None").status_code == 401
    everything = NEEDED["summary"]
    for missing in NEEDED[name]:
        with_others = staff(*(everything - {missing}))
        assert ask(with_others, name).status_code == 403
        User.objects.all().delete()
    assert ask(staff(*everything, is_staff=False), name).status_code == 403


@pytest.mark.parametrize("name", NEEDED)
def test_staff_with_the_right_to_view_is_answered(name: str) -> None:
    scenes.add_worker()
    response = ask(staff(*NEEDED[name]), name)
    assert response.status_code == 200
    assert response.json()["backend"] == "default"
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.parametrize("name", NEEDED)
def test_the_token_opens_everything_and_another_one_nothing(client: Client, with_token: None, name: str) -> None:
    scenes.add_worker()
    assert ask(client, name, TOKEN).status_code == 200
    for wrong in (TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ü" * 24):
        assert ask(client, name, wrong.encode().decode("latin-1")).status_code == 401
    # Not even with a right of one's own: who sends a token means it.
    assert ask(staff(*NEEDED["summary"]), name, "wrong").status_code in (401, 403)


@pytest.mark.parametrize("name", NEEDED)
def test_it_can_only_be_read(client: Client, with_token: None, name: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = reverse(f"django_tasks_q:api_{name}")
    for method in ("post", "put", "patch", "delete"):
        assert getattr(client, method)(url, headers=headers).status_code == 405


def test_the_token_is_written_nowhere(client: Client, with_token: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ask(client, "queues", TOKEN + "x")
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(get_broker("default").options)
    [problem] = find_problems({"api_token": "too-short"})
    assert "too-short" not in problem.message + problem.hint


def test_a_backend_that_is_not_there(client: Client, with_token: None) -> None:
    assert ask(client, "queues", TOKEN, backend="nonsense").status_code == 401
    assert ask(staff("queue"), "queues", backend="nonsense").status_code == 404


def test_what_is_answered(client: Client, with_token: None) -> None:
    scenes.add_worker("w", memory=1000)
    scenes.jobs(2)
    scenes.running(1)
    scenes.results(3)
    scenes.results(1, status="FAILED")
    scenes.count(3, successful=3, failed=1, run_10=4, wait_5=4)
    queue = ask(client, "queues", TOKEN).json()["queues"][0]
    assert (queue["name"], queue["ready"], queue["running"], queue["workers"], queue["paused"]) == (
        "default", 2, 1, 1, False,
    )  # fmt: skip
    [worker] = ask(client, "workers", TOKEN).json()["workers"]
    assert (worker["alive"], worker["memory"], worker["concurrency"]) == (True, 1000, 2)
    jobs = ask(client, "jobs", TOKEN).json()
    assert (jobs["jobs"]["READY"], jobs["jobs"]["RUNNING"]) == (2, 1)
    assert (jobs["results"]["SUCCESSFUL"], jobs["results"]["FAILED"]) == (3, 1)
    assert jobs["running"][0]["task_path"] == "tests.tasks.noop"
    told = ask(client, "statistics", TOKEN, span="hour").json()
    assert (told["step"], len(told["series"])) == (60, 60)
    assert sum(point["failed"] for point in told["series"]) == 1
    [task] = told["tasks"]
    assert (task["task_path"], task["successful"], task["run_time"]["p50"]) == (
        "tests.tasks.noop", 3, pytest.approx(0.7, abs=0.3),
    )  # fmt: skip
    assert ask(client, "statistics", TOKEN, span="century").status_code == 400
    summary = ask(client, "summary", TOKEN).json()
    assert summary["troubles"] == []
    assert (summary["jobs"]["READY"], summary["workers"]["alive"], summary["last_hour"]["failed"]) == (2, 1, 1)


def test_schedules_are_told_with_their_next_runs(client: Client, with_token: None) -> None:
    schedules.create("reports", cron("0 3 * * *", tz="Europe/Rome"), "tests.tasks.noop", kwargs={"key": "a secret"})
    schedules.create("stopped", every(hours=1), "tests.tasks.noop")
    schedules.pause("stopped")
    response = ask(client, "schedules", TOKEN)
    reports, stopped = response.json()["schedules"]
    assert (reports["name"], reports["state"], reports["task_path"]) == ("reports", "ACTIVE", "tests.tasks.noop")
    moments = [datetime.fromisoformat(moment) for moment in reports["next_runs"]]
    assert moments[0] == datetime.fromisoformat(reports["next_run_at"])
    assert {moment.astimezone(ZoneInfo("Europe/Rome")).hour for moment in moments} == {3}
    assert len(moments) == 5
    assert (stopped["state"], stopped["next_run_at"], stopped["next_runs"]) == ("PAUSED", None, [])
    assert "a secret" not in response.content.decode()


def test_a_schedule_that_makes_no_sense_is_told_all_the_same(client: Client, with_token: None) -> None:
    schedules.create("broken", every(hours=1), "tests.tasks.noop")
    Schedule.objects.update(kind="cron", expression="no cron")
    [broken] = ask(client, "schedules", TOKEN).json()["schedules"]
    assert len(broken["next_runs"]) == 1


def test_health_is_said_by_the_status_too(client: Client, with_token: None) -> None:
    response = ask(client, "health", TOKEN)
    assert (response.status_code, response.json()["ok"], response.json()["workers"]) == (503, False, 0)
    assert "No worker is alive" in response.json()["problems"][0]
    scenes.add_worker()
    response = ask(client, "health", TOKEN)
    assert (response.status_code, response.json()["ok"], response.json()["problems"]) == (200, True, [])
