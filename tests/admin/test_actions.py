"""Retry, cancel and delete: what they do, what they leave alone, and what is written of it."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.db import connections
from django.test import Client

from django_tasks_q.admin import actions
from django_tasks_q.control import jobs as control
from django_tasks_q.lifecycle import JobStatus, ResultStatus
from django_tasks_q.models import Job, Result

from .. import scenes
from .pages import address, after, post_action, rows, text

pytestmark = pytest.mark.django_db


def entries() -> set[tuple[str, str, int, str]]:
    """Return the admin's history: of which kind, which row, what was done, in which words."""
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
    load = actions.load

    def prune_in_between(request: Any, queryset: Any) -> list[Any]:
        found = load(request, queryset)
        control.delete([pruned])
        return found

    monkeypatch.setattr("django_tasks_q.admin.results.load", prune_in_between)
    response = post_action(admin_client, "result", "retry", [kept, pruned])
    assert after(response) == [
        "1 result was put back into its queue.",
        "1 result was left alone: it is not among the results any more.",
    ]


# cancel


def test_cancel_takes_what_has_not_started_and_leaves_the_rest(admin_client: Client) -> None:
    [held], [ready], [later] = scenes.running(), scenes.jobs(), scenes.jobs(run_after=timedelta(hours=1))
    response = post_action(admin_client, "job", "cancel", [held, ready, later])
    assert Job.objects.get().pk == held
    assert set(Result.objects.values_list("pk", "status", "reason")) == {
        (key, ResultStatus.CANCELLED, "Cancelled by admin.") for key in (ready, later)
    }
    assert after(response) == [
        "2 jobs were cancelled.",
        "1 running job was left alone: what has started cannot be cancelled.",
    ]
    assert entries() == {("job", str(key), CHANGE, "Cancelled.") for key in (ready, later)}


def test_cancel_of_one_shows_the_result(admin_client: Client) -> None:
    [key] = scenes.jobs()
    response = admin_client.post(address("job", "cancel", key), follow=True)
    assert response.redirect_chain[-1][0] == address("result", "change", key)
    assert "Cancelled by admin." in text(response)


def test_a_running_job_is_not_cancelled_past_the_page(admin_client: Client) -> None:
    [key] = scenes.running()
    assert admin_client.get(address("job", "change", key)).context["buttons"] == []
    response = admin_client.post(address("job", "cancel", key), follow=True)
    assert Job.objects.get().status == JobStatus.RUNNING
    assert after(response) == ["1 running job was left alone: what has started cannot be cancelled."]
    assert entries() == set()


def test_a_job_that_is_gone_is_no_error(admin_client: Client) -> None:
    response = admin_client.post(address("job", "cancel", uuid.uuid4()), follow=True)
    assert response.status_code == 200
    assert "Perhaps it was deleted?" in after(response)[0]


# delete


def test_delete_asks_first_and_names_what_it_will_delete(admin_client: Client) -> None:
    chosen = scenes.results(3)
    response = post_action(admin_client, "result", "delete_selected", chosen)
    assert "Delete 3 results? They cannot be looked at or retried afterwards." in text(response)
    assert all(str(key) in text(response) for key in chosen)
    assert Result.objects.count() == 3


def confirm(client: Client, question: Any) -> Any:
    """Press the button of the page that asks."""
    form = {name: question.context[name] for name in ("ids",)}
    form |= {"action": "delete_selected", "confirmed": "yes", "_selected_action": question.context["first"]}
    return client.post(address("result"), form, follow=True)


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
    assert len(deletes) == 1
    assert not Result.objects.exists()


def test_delete_of_one(admin_client: Client) -> None:
    chosen, other = scenes.results(2)
    question = admin_client.get(address("result", "delete", chosen))
    assert str(chosen) in text(question)
    response = admin_client.post(address("result", "delete", chosen), {"post": "yes"}, follow=True)
    assert Result.objects.get().pk == other
    assert "was deleted successfully" in after(response)[0]
    assert entries() == {("result", str(chosen), DELETION, "")}


def test_a_forged_confirmation_is_no_error(admin_client: Client) -> None:
    [kept] = scenes.results()
    form = {"action": "delete_selected", "confirmed": "yes", "_selected_action": kept, "ids": "x,,\0,' OR 1=1"}
    assert admin_client.post(address("result"), form, follow=True).status_code == 200
    assert Result.objects.get().pk == kept


@pytest.mark.parametrize("key", ["", "x", "\0", "0"])
def test_what_is_not_an_id_is_refused_in_words(admin_client: Client, key: str) -> None:
    scenes.results()
    for action in ("retry", "delete_selected"):
        assert after(post_action(admin_client, "result", action, [key])) == [
            "What was selected are not ids: nothing was done."
        ]
    assert Result.objects.count() == 1


def test_a_question_about_nothing_is_not_asked(admin_client: Client) -> None:
    response = post_action(admin_client, "result", "delete_selected", [uuid.uuid4()])
    assert response.redirect_chain == [(address("result"), 302)]


# all of them


def test_select_all_follows_the_filters(admin_client: Client) -> None:
    scenes.results(3, "FAILED")
    [kept] = scenes.results()
    form = {"action": "retry", "index": 0, "select_across": 1, "_selected_action": str(kept)}
    admin_client.post(address("result") + "?status=FAILED", form)
    assert Result.objects.get().pk == kept
    assert Job.objects.count() == 3


def test_one_request_does_not_touch_more_than_it_can(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "MOST_SELECTED", 2)
    [first, *_] = scenes.results(3)
    response = post_action(admin_client, "result", "retry", [first], select_across=1)
    assert Job.objects.count() == 2
    assert after(response) == [
        "There are more than 2: only the first were taken. Run the action again for the others.",
        "2 results were put back into their queues.",
    ]


def test_rows_of_a_backend_that_is_gone_are_left_alone(admin_client: Client) -> None:
    [job], [result] = scenes.jobs(), scenes.results()
    Job.objects.update(backend="gone")
    Result.objects.update(backend="gone")
    told = ["The backend “gone” is not in TASKS any more: its rows were left alone."]
    assert after(post_action(admin_client, "job", "cancel", [job])) == told
    assert after(post_action(admin_client, "result", "retry", [result])) == told
    assert "is not in TASKS any more" in text(admin_client.get(address("job", "change", job)))
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
