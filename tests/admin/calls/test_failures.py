"""Failures, grouped by error."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_tasks_q.models import Job, Result
from django_tasks_q.monitoring import failures

from ... import scenes
from ..conftest import LogIn
from ..pages import address, after, confirm, rows, text

pytestmark = pytest.mark.django_db

STOCK = "shop.errors.NoStock at shop/tasks.py:12 in charge"
EVIL = "<script>alert(1)</script>.E at <img src=x onerror=alert(1)>:1 in f"


def fail(number: int, group: str | None, reason: str = "", **given: Any) -> list[Any]:
    entry = json.loads(scenes.error()) | ({"group": group} if group else {})
    return scenes.results(number, "FAILED", errors=json.dumps(entry), reason=reason, **given)


def page(client: Client, **query: str) -> Any:
    return client.get(address("result", "failures"), query)


def lines(response: Any) -> list[tuple[str, str, str]]:
    return [(line["exception"], line["place"], line["count"]) for line in response.context["groups"]]


def test_what_fails_alike_is_one_line(admin_client: Client) -> None:
    fail(2, None)
    scenes.results(5)
    *_, last = fail(3, STOCK, "NoStock: none left")
    Result.objects.filter(pk=last).update(finished_at=timezone.now() + timedelta(minutes=1), reason="the last")
    response = page(admin_client)
    assert lines(response) == [("NoStock", "shop/tasks.py:12 in charge", "3"), ("Unknown", "", "2")]
    assert "the last" in text(response)
    assert address("result", "change", last) in response.content.decode()
    assert "Failures by error" in text(admin_client.get(address("result")))


def test_a_line_leads_to_its_failures(admin_client: Client) -> None:
    chosen, unknown = fail(2, STOCK), fail(1, None)
    fail(1, f"{STOCK}?")
    response = page(admin_client)
    urls = [line["url"] for line in response.context["groups"]]
    listed = [set(rows(admin_client.get(url))) for url in urls]
    assert (listed[0], listed[-1] | listed[1]) >= (set(chosen), set(unknown))
    assert sorted(map(len, listed)) == [1, 1, 2]


@pytest.mark.parametrize(("action", "told"), [("retry", "put back into their queues"), ("delete_selected", "deleted")])
def test_a_whole_group_is_retried_or_discarded(admin_client: Client, action: str, told: str) -> None:
    fail(3, STOCK)
    [other] = fail(1, "shop.errors.Other at shop/tasks.py:13 in charge")
    [line, _] = page(admin_client).context["groups"]
    form = {"action": action, "index": 0, "select_across": 1, "_selected_action": "0" * 32}
    question = admin_client.post(line["url"], form)
    assert "3 results?" in text(question)
    assert told in after(confirm(admin_client, question))[0]
    assert Result.objects.get().pk == other
    assert Job.objects.count() == (3 if action == "retry" else 0)


def test_a_period_leaves_out_what_failed_before(admin_client: Client) -> None:
    fail(1, STOCK)
    fail(2, "shop.errors.Old", seconds_ago=7_200)
    assert [count for _, _, count in lines(page(admin_client))] == ["2", "1"]
    assert [count for _, _, count in lines(page(admin_client, within="hour"))] == ["1"]
    assert len(lines(page(admin_client, within="nonsense"))) == 2


def test_only_the_newest_are_looked_at_and_the_page_says_so(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "SEARCHED", 3)
    fail(4, "shop.errors.Old", seconds_ago=600)
    fail(3, STOCK)
    response = page(admin_client)
    assert [name for name, _, _ in lines(response)] == ["NoStock"]
    assert "Based on the newest" in text(response)
    listed = admin_client.get(address("result"), {"error": STOCK})
    assert len(rows(listed)) == 3
    assert "searches only the newest" in text(listed)


def test_what_was_written_by_others_is_text(admin_client: Client) -> None:
    fail(1, EVIL, EVIL)
    body = page(admin_client).content.decode()
    assert "<script>alert" not in body
    assert "<img src=x" not in body
    [line] = page(admin_client).context["groups"]
    assert "<script>alert" not in admin_client.get(line["url"]).content.decode()


def test_who_may_only_look_sees_no_button(log_in: LogIn) -> None:
    fail(1, STOCK)
    viewer = log_in("view_result")
    assert b"<form method" not in page(viewer).content.replace(b'<form id="logout-form" method', b"")
    viewer.logout()
    assert page(viewer).status_code == 302


def test_who_may_not_look_sees_nothing(log_in: LogIn) -> None:
    assert page(log_in("view_job", "retry_result")).status_code == 403


def test_it_takes_few_statements_however_many_groups(admin_client: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        fail(1, f"shop.errors.E{number}")
    with django_assert_max_num_queries(6):
        assert len(lines(page(admin_client))) == 12
