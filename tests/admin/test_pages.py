"""What the pages of jobs and results show, and how to get there."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation

from django_tasks_q.brokers import get_broker
from django_tasks_q.models import Job, Result

from .. import scenes
from ..tasks import add, boom, noop
from .pages import address, after, rows, text

pytestmark = pytest.mark.django_db

EVIL = "<script>alert('x')</script><img src=x onerror=alert(1)>&amp;"


# details


def test_a_failed_result_shows_every_error_in_full(admin_client: Client) -> None:
    [key] = scenes.results(status="FAILED", task=boom, args=["a reason"], reason="ValueError: boom")
    lines = "".join(f'  File "tasks.py", line {number}, in step_{number}\n' for number in range(300))
    Result.objects.update(
        attempt=2,
        errors=[
            {"exception": "builtins.OSError", "traceback": "first\n", "attempt": 1, "worker": "w1", "kind": "lost"},
            {
                "exception": "shop.errors.NoStock",
                "traceback": f"Traceback (most recent call last):\n{lines}NoStock: none left\n",
                "attempt": 2,
                "worker": "w2",
                "kind": "error",
                "started_at": "2026-01-01T10:00:00+00:00",
                "finished_at": "2026-01-01T10:00:01.240000+00:00",
            },
        ],
    )
    page = admin_client.get(address("result", "change", key))
    shown = text(page)
    assert "step_0" in shown
    assert "step_299" in shown
    assert shown.index("Attempt 2 NoStock") < shown.index("Attempt 1 OSError process lost")
    assert "after 1.24 s" in shown
    assert [attempt.worker_url for attempt in page.context["attempts"]] == [
        address("worker", "change", name) for name in ("w2", "w1")
    ]


def test_arguments_and_the_return_value_are_json(admin_client: Client) -> None:
    value = {"names": ["Zoë", "<b>"], "nested": {"n": [1, 2.5, None, True]}, "long": ["x" * 40] * 3}
    [key] = scenes.results(task=add, args=[1, {"b": value}], return_value=value, metadata={"order": 42})
    page = admin_client.get(address("result", "change", key))
    shown = text(page)
    assert '"names": [ "Zoë", "<b>" ]' in shown
    assert '{"order": 42}' in shown
    assert shown.count('"long": [') == 2
    blocks = re.findall(r'<pre class="tasksq-block">(.*?)</pre>', page.content.decode(), re.DOTALL)
    assert json.loads(blocks[0].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">")) == value


def test_a_value_of_a_failure_is_not_shown_as_if_there_were_one(admin_client: Client) -> None:
    [failed], [done] = scenes.results(status="FAILED"), scenes.results()
    assert "Return value" not in text(admin_client.get(address("result", "change", failed)))
    assert "Return value null" in text(admin_client.get(address("result", "change", done)))


def test_whatever_was_written_by_others_is_text(admin_client: Client) -> None:
    [key], [job] = scenes.results(status="FAILED"), scenes.jobs()
    written = {
        "task_path": EVIL[:255], "queue_name": EVIL, "reason": EVIL, "worker_id": EVIL, "args": [EVIL],
        "kwargs": {EVIL: EVIL}, "metadata": {EVIL: EVIL}, "options": {"backoff": EVIL},
        "errors": [{"exception": EVIL, "traceback": EVIL, "worker": EVIL, "kind": EVIL, "attempt": EVIL}],
    }  # fmt: skip
    Result.objects.update(**written, return_value=EVIL)
    Job.objects.update(**written)
    scenes.add_worker(EVIL[:60], queues=[EVIL], excluded_queues=[EVIL])
    worker = scenes.add_worker("x", host=EVIL).pk
    for url in (
        address("job"),
        address("result"),
        address("worker"),
        address("queue"),
        address("job", "change", job),
        address("result", "change", key),
        address("worker", "change", worker),
        address("result", "delete", key),
        address("result", "edit", key),
        address("result") + "?q=" + EVIL.replace("&", "%26") + "&queue=" + EVIL.replace("&", "%26"),
    ):
        body = admin_client.get(url).content.decode()
        assert "<script>alert" not in body, url
        assert "<img src=x" not in body, url
        assert "&lt;script&gt;" in body, url


@pytest.mark.parametrize(
    "damage",
    [
        {"errors": "text"},
        {"errors": [1, None, "x", {}]},
        {"errors": [{"traceback": 5, "attempt": [], "started_at": 7, "finished_at": "never"}]},
        {"errors": [{"started_at": "2026-01-01T10:00:00", "finished_at": "2026-01-01T10:00:00+00:00"}]},
        {"args": "no list", "kwargs": 5, "options": [], "metadata": None},
        {"worker_id": "a/b?c=d&e #", "queue_name": "a b/c?d"},
        {"last_attempted_at": None, "started_at": None, "run_after": None},
    ],
)
def test_a_damaged_row_can_be_looked_at(admin_client: Client, damage: dict[str, Any]) -> None:
    [key], [job] = scenes.results(status="FAILED"), scenes.jobs()
    if damage.get("metadata", 1) is None:
        damage["metadata"] = {}
    Result.objects.update(**damage)
    Job.objects.update(**damage)
    for url in (address("result"), address("result", "change", key), address("job"), address("job", "change", job)):
        assert admin_client.get(url).status_code == 200


@pytest.mark.only_on("sqlite")
def test_a_lone_surrogate_is_shown_as_what_it_is_not(admin_client: Client) -> None:
    # The others refuse to keep it.
    [key] = scenes.results()
    Result.objects.update(return_value="\udc80", errors=[{"exception": "\udc80", "traceback": "x"}])
    assert '"?"' in text(admin_client.get(address("result", "change", key)))


def test_a_live_job_says_why_it_does_not_run(admin_client: Client) -> None:
    [job] = scenes.jobs(queue_name="mail")
    assert "No worker is alive" in text(admin_client.get(address("job", "change", job)))


def test_times_are_humane_and_exact(admin_client: Client) -> None:
    [key] = scenes.results()
    now = timezone.now()
    Result.objects.update(
        enqueued_at=now - timedelta(seconds=190),
        started_at=now - timedelta(seconds=187),
        last_attempted_at=now - timedelta(seconds=187),
        finished_at=now - timedelta(seconds=185, milliseconds=760),
    )
    page = admin_client.get(address("result", "change", key))
    shown = text(page)
    assert "Enqueued 3 min ago" in shown
    assert "Waited 3 s" in shown
    assert "Ran 1.24 s" in shown
    enqueued = Result.objects.get().enqueued_at
    local = timezone.localtime(enqueued) if timezone.is_aware(enqueued) else enqueued
    assert f'title="{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}' in page.content.decode()


def test_a_deferred_job_waits_from_its_time_on(admin_client: Client) -> None:
    [key] = scenes.results()
    now = timezone.now()
    Result.objects.update(
        enqueued_at=now - timedelta(hours=2),
        run_after=now - timedelta(minutes=1),
        started_at=now - timedelta(seconds=50),
    )
    assert "Waited 10 s" in text(admin_client.get(address("result", "change", key)))


def test_a_job_cancelled_after_a_retry_did_not_run_until_then(admin_client: Client) -> None:
    [key] = scenes.results(seconds_ago=3600)
    admin_client.post(address("result", "retry", key))
    admin_client.post(address("job", "cancel", key))
    assert "Ran —" in text(admin_client.get(address("result", "change", key)))


# moves


def test_a_link_to_a_job_follows_it(admin_client: Client) -> None:
    [finished], [live] = scenes.results(), scenes.jobs()
    for model, key, other in (("job", finished, "result"), ("result", live, "job")):
        response = admin_client.get(address(model, "change", key), follow=True)
        assert response.redirect_chain == [(address(other, "change", key), 302)]


def test_a_link_is_not_followed_where_one_may_not_look(log_in: Any) -> None:
    [finished] = scenes.results()
    response = log_in("view_job").get(address("job", "change", finished), follow=True)
    assert all("/result/" not in url for url, _ in response.redirect_chain)


@pytest.mark.parametrize("key", ["nonsense", "0", "a\0b", "x" * 300, "0197b1d0-5a7e-4c3e-9d9c-6a0f4f2d7e11"])
def test_what_is_not_there_is_said(admin_client: Client, key: str) -> None:
    for model in ("job", "result", "worker"):
        for view in ("change", "history"):
            response = admin_client.get(address(model, view, key), follow=True)
            assert after(response)[0].endswith("Perhaps it was deleted?")


# search


def search(client: Client, model: str, query: str) -> Any:
    return client.get(address(model), {"q": query}, follow=True)


def test_an_id_is_found_in_whichever_way_it_is_written(admin_client: Client) -> None:
    [key, _] = scenes.results(2)
    for written in (str(key), key.hex, f" {str(key).upper()} ", f"{{{key}}}", key.urn):
        assert rows(search(admin_client, "result", written)) == [key]


def test_an_id_is_found_from_the_page_of_the_other_table(admin_client: Client) -> None:
    [finished], [live] = scenes.results(), scenes.jobs()
    assert search(admin_client, "job", str(finished)).redirect_chain == [(address("result", "change", finished), 302)]
    assert search(admin_client, "result", str(live)).redirect_chain == [(address("job", "change", live), 302)]


def test_a_task_is_found_by_its_path_or_a_part_of_it(admin_client: Client) -> None:
    scenes.results(3)
    [key], [job] = scenes.results(task=add, args=[1, 2]), scenes.jobs(task=add, args=[1, 2])
    for query in ("tests.tasks.add", "tests.tasks.ad", "tasks.add", "ADD", "  add "):
        assert rows(search(admin_client, "result", query)) == [key]
        assert rows(search(admin_client, "job", query)) == [job]
    assert len(rows(search(admin_client, "result", "tests."))) == 4


def test_of_very_many_tasks_those_are_found_that_ran_lately_or_begin_so(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_tasks_q.monitoring.names.MOST_PATHS", 1)
    monkeypatch.setattr("django_tasks_q.monitoring.names.LOOK", 2)
    [first], [old], [late] = (
        scenes.results(task=add, args=[1, 2]),
        scenes.results(task=boom),
        scenes.results(task=noop),
    )
    assert rows(search(admin_client, "result", "add")) == [first]
    assert rows(search(admin_client, "result", "noop")) == [late]
    assert rows(search(admin_client, "result", "tests.tasks.b")) == [old]


@pytest.mark.parametrize(
    "query",
    ["%", "_", "\\", "'", '"; DROP TABLE x; --', "\0", "a\0b", "(", "[", "ü" * 500, "{}", " ", "00000000", "😀"],
)
def test_a_malformed_search_finds_nothing_and_is_no_error(admin_client: Client, query: str) -> None:
    scenes.results()
    scenes.jobs()
    for model in ("job", "result"):
        response = search(admin_client, model, query)
        assert response.status_code == 200
        if query.strip() and "\0" not in query:
            assert rows(response) == []


# every page


def pages(client: Client) -> list[Any]:
    [key], [job], [held] = scenes.results(status="FAILED"), scenes.jobs(queue_name="mail"), scenes.running()
    worker = scenes.add_worker("w1")
    Job.objects.filter(pk=held).update(worker_id=worker.pk)
    urls = [address(model) for model in ("job", "result", "worker", "queue")]
    urls += [address("job", view, job) for view in ("change", "history")]
    urls += [address("result", view, key) for view in ("change", "history", "delete", "edit")]
    urls += [
        address("result", "failures"),
        address("job", "enqueue"),
        address("job", "enqueue") + "?task=tests.tasks.add",
    ]
    urls += [address("worker", view, worker.pk) for view in ("change", "history")]
    question = client.post(address("result"), {"action": "delete_selected", "index": 0, "_selected_action": str(key)})
    move = client.post(address("job"), {"action": "move", "index": 0, "_selected_action": str(job)})
    return [question, move, *(client.get(url) for url in urls)]


def test_no_page_needs_an_exception_from_a_strict_content_security_policy(admin_client: Client) -> None:
    for page in pages(admin_client):
        body = page.content.decode()
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=|javascript:", body), page.request
        assert set(re.findall(r'(?:src|href)="(https?:)?//', body)) == set(), page.request


def test_every_page_can_be_shown_in_another_language(admin_client: Client) -> None:
    with translation.override("de"):
        for page in pages(admin_client):
            assert page.status_code == 200


def test_progress_is_shown_as_text(admin_client: Client) -> None:
    [key] = scenes.running()
    said = {"done": 30, "total": 120, "message": "<script>é", "at": "2026-01-01T00:00:00+00:00"}
    get_broker("default").save_progress("w1", {str(key): json.dumps(said)})
    page = admin_client.get(address("job", "change", key))
    assert "30 of 120 (25 %), <script>é" in text(page)
    assert "<script>é" not in page.content.decode()
    Job.objects.update(progress=["damaged"])
    assert admin_client.get(address("job", "change", key)).status_code == 200
