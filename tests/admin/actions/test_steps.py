"""Actions on very many rows: confirmed first, then done step by step."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_tasks_q.control import jobs as control
from django_tasks_q.models import Job, Result, Worker

from ... import scenes
from ..conftest import LogIn
from ..pages import address, after, confirm, post_action, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """One batch of two rows for each request."""
    monkeypatch.setattr("django_tasks_q.admin.actions.steps.BATCH", 2)
    monkeypatch.setattr("django_tasks_q.admin.actions.steps.STEP", 0.0)


def select_all(client: Client, model: str, action: str, query: str = "", **data: Any) -> Any:
    form = {"action": action, "index": 0, "select_across": 1, "_selected_action": "0" * 32, **data}
    return client.post(address(model) + query, form, follow=True)


def test_all_that_match_are_asked_about_and_then_done(admin_client: Client) -> None:
    scenes.results(3, "FAILED")
    [kept] = scenes.results()
    question = select_all(admin_client, "result", "retry", "?status=FAILED")
    assert "Retry 3 results?" in text(question)
    assert not Job.objects.exists()
    response = confirm(admin_client, question)
    assert response.redirect_chain == [(address("result") + "?status=FAILED", 302)]
    assert after(response) == ["3 results were put back into their queues."]
    assert Result.objects.get().pk == kept


def test_it_is_done_in_steps_that_go_on_where_the_last_one_ended(admin_client: Client, small_steps: None) -> None:
    scenes.jobs(5)
    page = confirm(admin_client, select_all(admin_client, "job", "cancel"))
    shown = []
    while not after(page):
        shown.append(page.context["question"])
        assert b"continue.js" in page.content
        page = confirm(admin_client, page)
    assert shown == ["2 of about 5 so far.", "4 of about 5 so far.", "5 of about 5 so far."]
    assert after(page) == ["5 jobs were cancelled."]
    assert Result.objects.filter(status="CANCELLED").count() == LogEntry.objects.count() == 5


def test_what_comes_after_the_question_is_left_alone(admin_client: Client) -> None:
    asked = scenes.jobs(2)
    question = select_all(admin_client, "job", "cancel")
    late = scenes.jobs(2)
    confirm(admin_client, question)
    assert set(Job.objects.values_list("pk", flat=True)) == set(late)
    assert set(Result.objects.values_list("pk", flat=True)) == set(asked)


def test_what_has_changed_meanwhile_is_left_alone_and_counted(
    admin_client: Client, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = scenes.jobs(5, run_after=timedelta(hours=1))
    page = confirm(admin_client, select_all(admin_client, "job", "run_now"))
    run_now = control.run_now

    def beaten(batch: Any, **given: Any) -> Any:
        # Somebody else comes first.
        run_now(ids[:2])
        return run_now(batch, **given)

    monkeypatch.setattr("django_tasks_q.admin.actions.verbs.jobs.run_now", beaten)
    while not after(page):
        page = confirm(admin_client, page)
    assert Job.objects.filter(status="READY").count() == len(ids)
    done, left = after(page)
    assert (done, "skipped" in left) == ("3 jobs are ready now.", True)


def test_what_has_started_meanwhile_is_asked_to_stop_and_counted(
    admin_client: Client, small_steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = scenes.jobs(5)
    page = confirm(admin_client, select_all(admin_client, "job", "cancel"))
    cancel = control.cancel

    def beaten(batch: Any, **given: Any) -> Any:
        # A worker comes first.
        scenes.claim(2)
        return cancel(batch, **given)

    monkeypatch.setattr("django_tasks_q.admin.actions.verbs.jobs.cancel", beaten)
    while not after(page):
        page = confirm(admin_client, page)
    done, left = Result.objects.count(), Job.objects.filter(status="RUNNING").count()
    assert (done + left, left) == (len(ids), 2)
    assert after(page) == ["3 jobs were cancelled.", "2 running jobs were asked to stop."]


def test_only_what_it_can_be_done_to_is_counted(admin_client: Client) -> None:
    scenes.running(2)
    scenes.jobs(1)
    scenes.jobs(3, run_after=timedelta(hours=1))
    assert "Cancel 6 jobs?" in text(select_all(admin_client, "job", "cancel"))
    assert "Move 4 jobs?" in text(select_all(admin_client, "job", "move"))
    question = select_all(admin_client, "job", "run_now")
    assert "Run 3 scheduled jobs now, before their time?" in text(question)
    assert after(confirm(admin_client, question)) == ["3 jobs are ready now."]
    assert after(select_all(admin_client, "job", "run_now")) == ["There is nothing to apply this action to."]


def test_what_a_form_says_holds_for_every_step(admin_client: Client, small_steps: None) -> None:
    scenes.jobs(3)
    page = confirm(admin_client, select_all(admin_client, "job", "move"), queue="mail", priority="")
    while not after(page):
        # Changing the form in between changes nothing.
        page = confirm(admin_client, page, queue="other")
    assert after(page) == ["3 jobs were moved."]
    assert set(Job.objects.values_list("queue_name", "priority")) == {("mail", 0)}


def test_rights_that_are_taken_away_end_it(log_in: LogIn, small_steps: None) -> None:
    scenes.jobs(5)
    client = log_in("view_job", "cancel_job")
    page = confirm(client, select_all(client, "job", "cancel"))
    page.context["user"].user_permissions.clear()
    assert confirm(client, page).status_code == 403
    assert Job.objects.count() == 3


def test_a_page_of_one_action_is_not_good_for_another(admin_client: Client) -> None:
    scenes.results(2)
    question = select_all(admin_client, "result", "retry")
    response = confirm(admin_client, question, action="delete_selected")
    assert after(response) == ["The page has expired, or does not come from this site: nothing was done."]
    assert Result.objects.count() == 2


# workers


@pytest.mark.parametrize(("action", "request_", "words"), [("drain", "DRAIN", "Drain"), ("stop", "STOP", "Stop")])
def test_workers_are_asked_to_end(admin_client: Client, action: str, request_: str, words: str) -> None:
    worker, other, gone = scenes.add_worker("a"), scenes.add_worker("b"), scenes.add_worker("c", status="OFFLINE")
    question = post_action(admin_client, "worker", action, [worker.pk, gone.pk])
    assert f"{words} 1 worker" in text(question)
    response = confirm(admin_client, question)
    assert after(response)[0].startswith("1 worker ")
    assert dict(Worker.objects.values_list("pk", "request")) == {worker.pk: request_, other.pk: None, gone.pk: None}
    assert f"Asked to {action}." in text(admin_client.get(address("worker", "history", worker.pk)))
    page = admin_client.get(address("worker", "change", worker.pk))
    assert f"asked to {action}" in text(page)
    assert [str(button["label"]) for button in page.context["buttons"]] == (["Stop"] if action == "drain" else [])
    again = post_action(admin_client, "worker", action, [worker.pk])
    assert after(confirm(admin_client, again)) == [
        "1 worker was skipped: it is not running, or has already been asked."
    ]


@pytest.mark.parametrize("key", ["", "x", "a\0b", "w" * 300])
def test_a_worker_that_is_none_is_no_error(admin_client: Client, key: str) -> None:
    assert len(after(post_action(admin_client, "worker", "stop", [key]))) == 1
