"""Who may see what, and do what: each action has its own permission, however it is requested."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from django_tasks_q.models import Job, Queue, Result

from .. import scenes
from .conftest import LogIn
from .pages import address, offered, post_action, text

pytestmark = pytest.mark.django_db

MODELS = ("job", "result", "worker", "queue")


@pytest.fixture
def job() -> Any:
    return scenes.jobs()[0]


@pytest.fixture
def result() -> Any:
    return scenes.results(status="FAILED")[0]


def untouched() -> bool:
    """Return whether the job and the result are unchanged, and nothing was recorded."""
    same = Job.objects.count() == 1 and Result.objects.filter(status="FAILED").count() == 1
    return same and not Queue.objects.exists() and not LogEntry.objects.exists()


def attempts(client: Client, job: Any, result: Any) -> list[Any]:
    """Post everything that there is to post, past the pages."""
    confirmed = {"confirmed": "yes", "ids": str(result), "index": 0}
    return [
        client.post(address("job", "cancel", job)),
        client.post(address("result", "retry", result)),
        client.post(address("result", "delete", result), {"post": "yes"}),
        client.post(address("queue", "pause"), {"name": "default", "backend": "default"}),
        client.post(address("queue", "resume"), {"name": "default", "backend": "default"}),
        post_action(client, "job", "cancel", [job]),
        post_action(client, "result", "retry", [result]),
        post_action(client, "result", "delete_selected", [result]),
        post_action(client, "result", "delete_selected", [result], **confirmed),
        client.post(address("job", "change", job), {"priority": 5}),
        client.post(address("result", "change", result), {"status": "SUCCESSFUL"}),
    ]


def test_a_viewer_sees_every_page_and_nothing_to_do(viewer: Client, job: Any, result: Any) -> None:
    for model in MODELS:
        page = viewer.get(address(model))
        assert page.status_code == 200
        assert offered(page) == set()
    for page in (viewer.get(address("job", "change", job)), viewer.get(address("result", "change", result))):
        assert page.context["buttons"] == []
        assert page.content.count(b'method="post"') == viewer.get(address("worker")).content.count(b'method="post"')
    assert b"Pause" not in viewer.get(address("queue")).content


def test_a_viewer_cannot_post_anything(viewer: Client, job: Any, result: Any) -> None:
    responses = attempts(viewer, job, result)
    # A list shows itself again; every page with its own URL is forbidden.
    assert [response.status_code for response in responses] == [403] * 5 + [200] * 4 + [403] * 2
    assert untouched()


def test_without_permissions_there_is_nothing_at_all(log_in: LogIn, job: Any, result: Any) -> None:
    client = log_in()
    assert {client.get(address(model)).status_code for model in MODELS} == {403}
    assert {client.get(address("job", "change", job)).status_code} == {403}
    assert {client.get(address("result", "history", result)).status_code} == {403}
    assert {response.status_code for response in attempts(client, job, result)} == {403}
    assert untouched()


def test_an_action_needs_the_view_permission_as_well(log_in: LogIn, job: Any, result: Any) -> None:
    client = log_in("cancel_job", "retry_result", "pause_queue")
    assert {response.status_code for response in attempts(client, job, result)} == {403}
    assert untouched()


def test_a_stranger_is_sent_to_the_login(job: Any, result: Any) -> None:
    for response in attempts(Client(), job, result):
        assert "/login/" in (response.url if response.status_code == 302 else response.request["PATH_INFO"])
    assert untouched()


def test_who_is_not_staff_is_sent_to_the_login(job: Any, result: Any) -> None:
    client = Client()
    client.force_login(User.objects.create_user("bob", is_superuser=True))
    assert client.post(address("job", "cancel", job)).status_code == 302
    assert untouched()


@pytest.mark.parametrize(
    ("permission", "model", "action"),
    [
        ("cancel_job", "job", "cancel"),
        ("retry_result", "result", "retry"),
        ("delete_result", "result", "delete_selected"),
    ],
)
def test_one_permission_offers_one_action(
    log_in: LogIn, job: Any, result: Any, permission: str, model: str, action: str
) -> None:
    client = log_in("view_job", "view_result", "view_queue", permission)
    others = {"job", "result"} - {model}
    assert offered(client.get(address(model))) == {action}
    assert offered(client.get(address(others.pop()))) == set()
    buttons = client.get(address(model, "change", {"job": job, "result": result}[model])).context["buttons"]
    assert [str(button["label"]) for button in buttons] == [permission.partition("_")[0].capitalize()]


def test_to_cancel_is_not_to_retry_or_to_delete(log_in: LogIn, job: Any, result: Any) -> None:
    client = log_in("view_job", "view_result", "view_queue", "cancel_job")
    attempts(client, job, result)
    assert Result.objects.get(pk=job).status == "CANCELLED"
    assert Result.objects.get(pk=result).status == "FAILED"
    assert not Queue.objects.exists()


def test_to_retry_is_not_to_delete_or_to_cancel(log_in: LogIn, job: Any, result: Any) -> None:
    attempts(log_in("view_job", "view_result", "view_queue", "retry_result"), job, result)
    assert set(Job.objects.values_list("pk", flat=True)) == {job, result}
    assert not Result.objects.exists()


def test_to_delete_results_is_not_to_touch_jobs(log_in: LogIn, job: Any, result: Any) -> None:
    attempts(log_in("view_job", "view_result", "view_queue", "delete_result", "delete_job"), job, result)
    assert Job.objects.get().pk == job
    assert not Result.objects.exists()


def test_to_pause_is_nothing_else(log_in: LogIn, job: Any, result: Any) -> None:
    client = log_in("view_queue", "pause_queue")
    assert "Pause" in text(client.get(address("queue")))
    client.post(address("queue", "pause"), {"name": "default", "backend": "default"})
    assert Queue.objects.get().paused
    assert client.post(address("job", "cancel", job)).status_code == 403


def test_live_jobs_workers_and_queues_are_not_deleted_here(admin_client: Client, job: Any) -> None:
    worker = scenes.add_worker()
    for model, key in (("job", job), ("worker", worker.pk)):
        assert offered(admin_client.get(address(model))).isdisjoint({"delete_selected"})
        assert admin_client.post(address(model, "delete", key), {"post": "yes"}).status_code == 403
        assert admin_client.get(address(model, "add")).status_code == 403


def test_nothing_happens_without_the_token(log_in: LogIn, job: Any, result: Any) -> None:
    rights = ("view_job", "view_result", "view_queue", "cancel_job", "retry_result", "delete_result", "pause_queue")
    client = log_in(*rights, enforce_csrf_checks=True)
    assert {response.status_code for response in attempts(client, job, result)} == {403}
    assert untouched()


def test_a_get_writes_nothing(admin_client: Client, job: Any, result: Any) -> None:
    for url in (
        address("job", "cancel", job),
        address("result", "retry", result),
        address("result", "delete", result),
        address("queue", "pause") + "?name=default&backend=default",
        address("queue", "resume") + "?name=default&backend=default",
    ):
        assert admin_client.get(url, follow=True).status_code == 200
    assert untouched()
