"""The pages of workers."""

import re

import pytest
from django.test import Client

from django_tasks_q.models import Job

from .. import scenes
from .pages import address, rows, text

pytestmark = pytest.mark.django_db


def test_alive_or_stale_by_the_heartbeat(admin_client: Client) -> None:
    scenes.add_worker("fresh")
    scenes.add_worker("idle", idle=True)
    scenes.add_worker("silent", silent_for=60)
    scenes.add_worker("gone", status="OFFLINE", silent_for=60)
    page = admin_client.get(address("worker"))
    states = {
        row.pk.split("-")[0]: page.context["cl"].model_admin.state(row) for row in page.context["cl"].result_list
    }
    assert ">Online<" in states["fresh"]
    assert ">Online, idle<" in states["idle"]
    assert ">Stale<" in states["silent"]
    assert ">Offline<" in states["gone"]


def test_what_a_worker_does_and_has_done(admin_client: Client) -> None:
    worker = scenes.add_worker(
        "w",
        queues=["mail", "sms"],
        excluded_queues=["slow"],
        silent_for=1,
        running=1,
        finished=1234,
        memory=150_000_000,
    )
    [held] = scenes.running(worker=worker.pk)
    page = admin_client.get(address("worker"))
    for words in ("mail, sms", "1 of 2", "1234", "143.1"):
        assert words in text(page)
    assert re.search(r" \d+ s ago ", text(page))
    assert f"{address('job')}?worker={worker.pk}" in page.content.decode()
    details = admin_client.get(address("worker", "change", worker.pk))
    assert address("job", "change", held) in details.content.decode()
    for words in ("except slow", "Process ID", "Host"):
        assert words in text(details)


def test_those_that_run_come_first(admin_client: Client) -> None:
    now = scenes.add_worker("a").started_at
    stopped = scenes.add_worker("b", stopped_at=now, status="OFFLINE")
    online = scenes.add_worker("c")
    assert rows(admin_client.get(address("worker")))[1:] == [online.pk, stopped.pk]


def test_by_status(admin_client: Client) -> None:
    scenes.add_worker("a")
    lost = scenes.add_worker("b", status="LOST")
    assert rows(admin_client.get(address("worker"), {"status": "LOST"})) == [lost.pk]


def test_jobs_lead_to_their_worker_and_back(admin_client: Client) -> None:
    worker = scenes.add_worker()
    [held] = scenes.running(worker=worker.pk)
    url = address("worker", "change", worker.pk)
    assert url in admin_client.get(address("job")).content.decode()
    assert url in admin_client.get(address("job", "change", held)).content.decode()
    assert Job.objects.get().worker_id == worker.pk


def test_the_statements_do_not_grow_with_the_workers(
    admin_client: Client, django_assert_max_num_queries: object
) -> None:
    for number in range(20):
        scenes.add_worker(f"w{number}")
    with django_assert_max_num_queries(8):  # type: ignore[operator]
        admin_client.get(address("worker"))
