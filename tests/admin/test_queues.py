"""The page of queues: all of them on one page, paused and resumed by a button."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_tasks_q.models import Queue

from .. import scenes
from .pages import address, after, text

pytestmark = pytest.mark.django_db


def lines(client: Client) -> dict[str, dict[str, Any]]:
    """Return what the page shows, by the name of the queue."""
    [(_alias, found)] = client.get(address("queue")).context["groups"]
    return {line["name"]: line for line in found}


def switch(client: Client, view: str, name: str, backend: str = "default") -> Any:
    return client.post(address("queue", view), {"name": name, "backend": backend}, follow=True)


def test_every_queue_with_jobs_or_a_row_is_there(admin_client: Client) -> None:
    Queue.objects.create(name="empty", paused=True)
    scenes.jobs(2, queue_name="mail")
    scenes.running(queue_name="busy")
    scenes.jobs(run_after=timedelta(hours=1), queue_name="later")
    scenes.add_worker(queues=["mail"])
    shown = lines(admin_client)
    assert set(shown) == {"busy", "empty", "later", "mail"}
    assert shown["mail"]["workers"] == 1
    assert shown["busy"]["paused"] is False
    assert [">2<" in str(count) for count in shown["mail"]["counts"]] == [True, False, False, False]
    assert [">1<" in str(count) for count in shown["busy"]["counts"]] == [False, True, False, False]
    assert [">1<" in str(count) for count in shown["later"]["counts"]] == [False, False, True, False]
    page = text(admin_client.get(address("queue")))
    assert "empty Paused" in page
    assert "mail Open" in page


def test_ready_jobs_that_nobody_listens_to_stand_out(admin_client: Client) -> None:
    scenes.jobs(queue_name="mail")
    scenes.add_worker(queues=["other"])
    assert "mail No worker" in text(admin_client.get(address("queue")))


def test_numbers_lead_to_the_jobs(admin_client: Client) -> None:
    [key] = scenes.jobs(queue_name="a & b/ü?")
    link = str(lines(admin_client)["a & b/ü?"]["counts"][0])
    url = link.split('"')[1].replace("&amp;", "&")
    assert [row.pk for row in admin_client.get(url).context["cl"].result_list] == [key]


def test_pause_and_resume(admin_client: Client) -> None:
    scenes.jobs(queue_name="mail")
    assert after(switch(admin_client, "pause", "mail")) == ["The queue “mail” is paused. Running jobs continue."]
    assert lines(admin_client)["mail"]["paused"]
    assert after(switch(admin_client, "pause", "mail")) == ["The queue “mail” was already paused."]
    assert after(switch(admin_client, "resume", "mail")) == ["The queue “mail” is running again."]
    assert not lines(admin_client)["mail"]["paused"]
    assert after(switch(admin_client, "resume", "mail")) == ["The queue “mail” was not paused."]
    row = Queue.objects.get()
    found = LogEntry.objects.order_by("pk").values_list("object_id", "change_message", "user__username")
    assert list(found) == [(str(row.pk), "Paused.", "admin"), (str(row.pk), "Resumed.", "admin")]
    history = text(admin_client.get(address("queue", "history", row.pk)))
    assert history.index("Paused.") < history.index("Resumed.")


@pytest.mark.parametrize("name", ["", "x" * 129, "a\0b"])
def test_what_cannot_be_a_queue_is_refused_in_words(admin_client: Client, name: str) -> None:
    [told] = after(switch(admin_client, "pause", name))
    assert "must have 1 to 128 characters" in told
    assert not Queue.objects.exists()


def test_a_queue_that_cannot_exist_is_refused_in_words(admin_client: Client, settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["default", "mail"]}}
    [told] = after(switch(admin_client, "pause", "mial"))
    assert told == "There is no queue “mial” in TASKS, only default, mail. Did you mean “mail”?"
    assert not Queue.objects.exists()


def test_an_unknown_backend_is_left_alone(admin_client: Client) -> None:
    assert switch(admin_client, "pause", "mail", backend="gone").status_code == 200
    assert not Queue.objects.exists()


def test_the_page_of_a_row_is_the_list(admin_client: Client) -> None:
    row = Queue.objects.create(name="mail")
    assert admin_client.get(address("queue", "change", row.pk)).url == address("queue")


def test_an_empty_page_says_what_makes_a_queue(admin_client: Client) -> None:
    assert "No queues yet: a queue appears with its first job." in text(admin_client.get(address("queue")))


def test_a_paused_queue_gives_no_job(admin_client: Client) -> None:
    scenes.jobs(2, queue_name="mail")
    switch(admin_client, "pause", "mail")
    assert scenes.claim(2, "mail") == []
    switch(admin_client, "resume", "mail")
    assert len(scenes.claim(2, "mail")) == 2
