"""Retry, cancel and delete: what they change, what they leave unchanged, and what is recorded."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db import connections
from django.test import Client

from django_tasks_q.admin.actions import steps
from django_tasks_q.control import jobs as control
from django_tasks_q.lifecycle import JobStatus, ResultStatus
from django_tasks_q.models import Job, Result

from ... import scenes
from ..pages import address, after, confirm, post_action, rows, text

pytestmark = pytest.mark.django_db


def entries() -> set[tuple[str, str, int, str]]:
    """Return the admin's history: the kind and key of each row, the flag and the message."""
    found = LogEntry.objects.select_related("content_type", "user")
    assert {entry.user.get_username() for entry in found} <= {"admin"}
    return {(entry.content_type.model, entry.object_id, entry.action_flag, entry.change_message) for entry in found}


# retry


def test_retry_puts_results_back_into_their_queue(admin_client: Client) -> None:
    chosen, [other] = scenes.results(2, "FAILED"), scenes.results()
    response = post_action(admin_client, "result", "retry", chosen)
    assert set(Job.objects.filter(status=JobStatus.READY).values_list("pk", flat=True)) == set(chosen)
    assert Result.objects.get().pk == other
    assert after(response) == ["2 results were put back into their queues."]
    assert entries() == {("result", str(key), CHANGE, "Retried: put back into its queue.") for key in chosen}


def test_retry_of_one_shows_the_job(admin_client: Client) -> None:
    [key] = scenes.results(status="FAILED")
    response = admin_client.post(address("result", "retry", key), follow=True)
    assert response.redirect_chain[-1][0] == address("job", "change", key)
    assert Job.objects.get().pk == key
    assert after(response) == ["1 result was put back into its queue."]


def test_retry_twice_is_retry_once(admin_client: Client) -> None:
    [key] = scenes.results()
    for _ in range(2):
        response = admin_client.post(address("result", "retry", key), follow=True)
    assert response.redirect_chain[-1][0] == address("job", "change", key)
    assert Job.objects.count() == 1
    assert len(entries()) == 1


def test_what_was_pruned_meanwhile_is_named(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, pruned = scenes.results(2)
    load = steps.load

    def prune_in_between(queryset: Any) -> list[Any]:
        found = load(queryset)
        control.delete([pruned])
        return found

    monkeypatch.setattr("django_tasks_q.admin.actions.steps.load", prune_in_between)
    response = post_action(admin_client, "result", "retry", [kept, pruned])
    assert after(response) == [
        "1 result was put back into its queue.",
        "1 result was skipped: it is no longer in the history.",
    ]


# cancel


def test_cancel_takes_what_has_not_started_and_asks_what_runs(admin_client: Client) -> None:
    [held], [ready], [later] = scenes.running(), scenes.jobs(), scenes.jobs(run_after=timedelta(hours=1))
    response = post_action(admin_client, "job", "cancel", [held, ready, later])
    assert Job.objects.get().pk == held
    assert set(Result.objects.values_list("pk", "status", "reason")) == {
        (key, ResultStatus.CANCELLED, "Cancelled by admin.") for key in (ready, later)
    }
    assert after(response) == [
        "2 jobs were cancelled.",
        "1 running job was asked to stop.",
    ]
    assert entries() == {("job", str(key), CHANGE, "Cancelled.") for key in (held, ready, later)}


def test_cancel_of_one_shows_the_result(admin_client: Client) -> None:
    [key] = scenes.jobs()
    response = admin_client.post(address("job", "cancel", key), follow=True)
    assert response.redirect_chain[-1][0] == address("result", "change", key)
    assert "Cancelled by admin." in text(response)


def test_a_running_job_is_asked_to_stop_and_says_so(admin_client: Client) -> None:
    [key] = scenes.running()
    response = admin_client.post(address("job", "cancel", key), follow=True)
    row = Job.objects.get()
    assert (row.status, row.cancel_reason) == (JobStatus.RUNNING, "Cancelled by admin.")
    assert after(response) == ["1 running job was asked to stop."]
    # Once is enough.
    page = admin_client.get(address("job", "change", key))
    assert page.context["buttons"] == []
    assert "Cancelled by admin." in text(page)


def test_a_job_that_is_gone_is_no_error(admin_client: Client) -> None:
    response = admin_client.post(address("job", "cancel", uuid.uuid4()), follow=True)
    assert response.status_code == 200
    assert "Perhaps it was deleted?" in after(response)[0]


# delete


def test_delete_asks_first_and_names_what_it_will_delete(admin_client: Client) -> None:
    chosen = scenes.results(3)
    response = post_action(admin_client, "result", "delete_selected", chosen)
    assert "Delete 3 results? They cannot be viewed or retried afterwards." in text(response)
    assert all(str(key) in text(response) for key in chosen)
    assert Result.objects.count() == 3


def test_delete_deletes_what_it_asked_about_and_nothing_else(admin_client: Client) -> None:
    chosen = scenes.results(3)
    question = post_action(admin_client, "result", "delete_selected", chosen, select_across=1)
    late = scenes.results(2)
    response = confirm(admin_client, question)
    assert set(Result.objects.values_list("pk", flat=True)) == set(late)
    assert after(response) == ["3 results were deleted."]
    assert entries() == {("result", str(key), DELETION, "") for key in chosen}


def test_delete_names_a_few_of_many(admin_client: Client) -> None:
    question = post_action(admin_client, "result", "delete_selected", scenes.results(22))
    assert "… and 2 others" in text(question)
    confirm(admin_client, question)
    assert not Result.objects.exists()


def test_delete_is_one_statement_for_a_thousand(admin_client: Client, django_assert_max_num_queries: Any) -> None:
    question = post_action(admin_client, "result", "delete_selected", scenes.results(60))
    with django_assert_max_num_queries(40) as queries:
        confirm(admin_client, question)
    deletes = [query["sql"] for query in queries if query["sql"].startswith("DELETE")]
    # And one for what they have logged.
    assert len(deletes) == 2
    assert not Result.objects.exists()


def test_delete_of_one(admin_client: Client) -> None:
    chosen, other = scenes.results(2)
    question = admin_client.get(address("result", "delete", chosen))
    assert str(chosen) in text(question)
    response = admin_client.post(address("result", "delete", chosen), {"post": "yes"}, follow=True)
    assert Result.objects.get().pk == other
    assert "was deleted successfully" in after(response)[0]
    assert entries() == {("result", str(chosen), DELETION, "")}


@pytest.mark.parametrize("progress", ["", "x", "\0", "eyJhIjoxfQ:1x:y", None])
def test_a_forged_confirmation_is_no_error(admin_client: Client, progress: str | None) -> None:
    [kept] = scenes.results()
    # That of another action is none either.
    other = post_action(admin_client, "result", "retry", [kept], select_across=1)
    forged = dict(other.context["hidden"])["progress"] if progress is None else progress
    response = post_action(admin_client, "result", "delete_selected", [kept], progress=forged)
    assert after(response) == ["The page has expired, or does not come from this site: nothing was done."]
    assert Result.objects.get().pk == kept


@pytest.mark.parametrize("key", ["", "x", "\0", "0"])
def test_what_is_not_an_id_is_refused_in_words(admin_client: Client, key: str) -> None:
    scenes.results()
    for action in ("retry", "delete_selected"):
        assert after(post_action(admin_client, "result", action, [key])) == [
            "The selected values are not ids: nothing was done."
        ]
    assert Result.objects.count() == 1


def test_a_question_about_nothing_is_not_asked(admin_client: Client) -> None:
    response = post_action(admin_client, "result", "delete_selected", [uuid.uuid4()])
    assert response.redirect_chain == [(address("result"), 302)]


# run now


def test_run_now_takes_what_is_scheduled_and_leaves_the_rest(admin_client: Client) -> None:
    [ready], [later] = scenes.jobs(), scenes.jobs(run_after=timedelta(hours=1))
    response = post_action(admin_client, "job", "run_now", [ready, later])
    assert Job.objects.get(pk=later).status == JobStatus.READY
    assert after(response) == ["1 job is ready now.", "1 job was skipped: it was not scheduled for later."]
    assert entries() == {("job", str(later), CHANGE, "Made ready early.")}


def test_run_now_of_one_shows_it(admin_client: Client) -> None:
    [later], [ready] = scenes.jobs(run_after=timedelta(hours=1)), scenes.jobs()
    labels = [str(button["label"]) for button in admin_client.get(address("job", "change", later)).context["buttons"]]
    assert labels == ["Run now", "Move", "Cancel"]
    assert "Run now" not in text(admin_client.get(address("job", "change", ready)))
    response = admin_client.post(address("job", "run", later), follow=True)
    assert after(response) == ["1 job is ready now."]
    assert Job.objects.get(pk=later).status == JobStatus.READY


# move


def test_move_asks_where_to(admin_client: Client) -> None:
    [held], [ready], [other] = scenes.running(), scenes.jobs(), scenes.jobs()
    question = post_action(admin_client, "job", "move", [held, ready])
    assert "Move 1 job?" in text(question)
    for given, complaint in (
        ({}, "Choose a different queue or priority."),
        ({"priority": "101"}, "less than or equal to 100"),
        ({"priority": "x"}, "Enter a whole number"),
        ({"queue": "x" * 129}, "at most 128 characters"),
        ({"queue": "a\0b"}, "Null characters are not allowed"),
    ):
        assert complaint in text(confirm(admin_client, question, **given))
    response = confirm(admin_client, question, queue=" mail ", priority="-7")
    assert after(response) == ["1 job was moved."]
    assert set(Job.objects.values_list("pk", "queue_name", "priority")) == {
        (held, "default", 100),
        (ready, "mail", -7),
        (other, "default", 0),
    }
    assert entries() == {("job", str(ready), CHANGE, "Moved: queue “mail”, priority -7.")}


def test_move_refuses_a_queue_that_cannot_exist(admin_client: Client, settings: Any) -> None:
    mine, theirs = scenes.jobs(), scenes.jobs()
    Job.objects.filter(pk__in=theirs).update(backend="other")
    named = {"default": ["default", "mail"], "other": ["default"]}
    settings.TASKS = {alias: {**settings.TASKS["default"], "QUEUES": queues} for alias, queues in named.items()}
    question = post_action(admin_client, "job", "move", [*mine, *theirs])
    assert "Did you mean “mail”?" in text(confirm(admin_client, question, queue="mial"))
    response = confirm(admin_client, question, queue="mail")
    assert after(response) == ["1 job was moved.", "other: There is no queue “mail” in TASKS, only default."]
    assert set(Job.objects.values_list("backend", "queue_name")) == {("default", "mail"), ("other", "default")}


def test_move_of_one_begins_on_its_page(admin_client: Client) -> None:
    [key] = scenes.jobs()
    [move] = [
        button for button in admin_client.get(address("job", "change", key)).context["buttons"] if "fields" in button
    ]
    question = admin_client.post(move["url"], dict(move["fields"]))
    confirm(admin_client, question, priority="5")
    assert Job.objects.get().priority == 5


# all of them


def test_rows_of_a_backend_that_is_gone_are_left_alone(admin_client: Client) -> None:
    [job], [result] = scenes.jobs(), scenes.results()
    Job.objects.update(backend="gone")
    Result.objects.update(backend="gone")
    told = ["The backend “gone” is no longer in TASKS: its rows were left unchanged."]
    assert after(post_action(admin_client, "job", "cancel", [job])) == told
    assert after(post_action(admin_client, "result", "retry", [result])) == told
    assert "is no longer in TASKS" in text(admin_client.get(address("job", "change", job)))
    assert (Job.objects.count(), Result.objects.count()) == (1, 1)


def test_the_history_goes_with_the_job(admin_client: Client) -> None:
    [key] = scenes.jobs()
    admin_client.post(address("job", "cancel", key))
    admin_client.post(address("result", "retry", key))
    page = text(admin_client.get(address("job", "history", key)))
    assert page.index("Cancelled.") < page.index("Retried: put back into its queue.")
    admin_client.post(address("job", "cancel", key))
    response = admin_client.get(address("job", "history", key), follow=True)
    assert response.redirect_chain[-1][0] == address("result", "history", key)
    assert text(response).count("Cancelled.") == 2


@pytest.fixture
def atomic_requests(transactional_db: None) -> Iterator[None]:
    given = connections["default"].settings_dict
    before = given["ATOMIC_REQUESTS"]
    given["ATOMIC_REQUESTS"] = True
    yield
    given["ATOMIC_REQUESTS"] = before


def test_everything_works_in_one_transaction_for_each_request(atomic_requests: None, admin_client: Client) -> None:
    [job], [result] = scenes.jobs(), scenes.results()
    admin_client.post(address("job", "cancel", job))
    admin_client.post(address("result", "retry", result))
    post_action(admin_client, "job", "cancel", [result])
    confirm(admin_client, post_action(admin_client, "result", "delete_selected", [job]))
    assert rows(admin_client.get(address("result"))) == [result]
    assert admin_client.post(address("result", "delete", result), {"post": "yes"}).status_code == 302
    assert not Result.objects.exists()
