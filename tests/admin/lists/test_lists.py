"""Lists of tables that are too large to be counted or sorted."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_tasks_q.ids import first_id_at, uuid7
from django_tasks_q.models import Job, Result

from ... import scenes
from ...tasks import add, boom
from ..pages import address, rows, text

pytestmark = pytest.mark.django_db

TABLES = ("django_tasks_q_job", "django_tasks_q_result")


def queries_of(client: Client, url: str) -> list[str]:
    """Return the statements about the queue's large tables that a page needs."""
    client.get(url)
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured if any(table in query["sql"] for table in TABLES)]


def is_bounded(statement: str) -> bool:
    """Say whether a statement stops at a limit, only plans, or jumps from one queue name to the next in the index."""
    return any(words in statement for words in ("LIMIT", "EXPLAIN", "RECURSIVE", "SELECT MIN(queue_name)"))


# counting and paging


@pytest.mark.parametrize(
    "query", ["", "?status=FAILED", "?queue=default", "?task=tests.tasks.noop", "?q=noop", "?p=2"]
)
def test_no_statement_of_a_list_looks_at_a_whole_table(admin_client: Client, query: str) -> None:
    scenes.results(101, "FAILED")
    scenes.jobs(101)
    for model, status in (("result", "FAILED"), ("job", "READY")):
        statements = queries_of(admin_client, address(model) + query.replace("FAILED", status))
        assert statements
        assert all(map(is_bounded, statements))
        counts = [statement for statement in statements if re.match(r"SELECT COUNT\(", statement)]
        assert all(re.search(r"FROM \(SELECT .* LIMIT \d+\)", statement) for statement in counts)


def number_of_queries(client: Client, url: str) -> int:
    """Count the statements; however many probes it takes, the queues' names are one question."""
    probes = [statement for statement in queries_of(client, url) if "MIN(queue_name)" in statement]
    return len(queries_of(client, url)) - len(probes) + bool(probes)


def test_the_number_of_statements_does_not_grow_with_the_rows(admin_client: Client) -> None:
    # The count, the page, the choices of two filters, the bars; for jobs, the queues that have ready ones as well.
    for model, make, most in (("result", scenes.results, 5), ("job", scenes.jobs, 7)):
        make(3)
        few = number_of_queries(admin_client, address(model))
        make(70)
        assert number_of_queries(admin_client, address(model)) == few <= most


def test_a_list_loads_no_payload(admin_client: Client) -> None:
    scenes.results(2)
    scenes.jobs(2)
    for model in ("result", "job"):
        selects = [sql for sql in queries_of(admin_client, address(model)) if "task_path" in sql and "reason" in sql]
        assert len(selects) == 1
        for column in ("args", "kwargs", "errors", "metadata", "return_value"):
            assert not re.search(rf"\W{column}\W", selects[0])


@pytest.mark.parametrize("order", ["1", "-2", "3.1", "x", "99", "-"])
def test_no_address_makes_it_sort(admin_client: Client, order: str) -> None:
    expected = sorted(scenes.results(3), reverse=True)
    assert rows(admin_client.get(address("result"), {"o": order})) == expected
    [page] = [sql for sql in queries_of(admin_client, address("result") + f"?o={order}") if "reason" in sql]
    [ordering] = re.findall(r"ORDER BY (.*?) LIMIT|ORDER BY (.*)$", page)
    assert "".join(ordering).split(".")[-1].strip('"`') in ('id" DESC', "id` DESC")


def test_by_status_the_order_follows_the_index(admin_client: Client) -> None:
    first, second, third = scenes.results(3, "FAILED")
    now = timezone.now()
    for age, key in enumerate((second, third, first)):
        Result.objects.filter(pk=key).update(finished_at=now - timedelta(minutes=age))
    assert rows(admin_client.get(address("result"), {"status": "FAILED"})) == [second, third, first]
    assert rows(admin_client.get(address("result"))) == [third, second, first]


def test_of_very_many_rows_the_first_can_be_paged_through(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes.results(230)
    monkeypatch.setattr("django_tasks_q.monitoring.counts.BOUND", 150)
    monkeypatch.setattr("django_tasks_q.admin.lists.pagination.BOUND", 150)
    page = admin_client.get(address("result"), {"p": 2})
    assert len(rows(page)) == 50
    assert "(only the first 150 can be paged through; use filters to reach the rest)" in text(page)
    assert re.search(r"~[\d,]+ results|150\+ results", text(page))
    assert admin_client.get(address("result"), {"p": 3}).status_code == 302


def test_of_few_rows_the_count_is_exact(admin_client: Client) -> None:
    scenes.results(3)
    page = text(admin_client.get(address("result")))
    assert "3 results" in page
    assert "paged through" not in page


@pytest.mark.parametrize(
    "query", ["p=-1", "p=x", "p=99999999999999999999", "foo=1", "args__contains=x", "errors__0=x", "id__regex=["]
)
def test_a_strange_address_leads_to_the_list(admin_client: Client, query: str) -> None:
    scenes.results()
    response = admin_client.get(f"{address('result')}?{query}", follow=True)
    assert response.status_code == 200
    assert len(rows(response)) == 1


# filters


def filtered(client: Client, model: str, **query: str) -> set[Any]:
    return set(rows(client.get(address(model), query)))


def choices(client: Client, model: str, parameter: str) -> list[str]:
    """Return what a filter offers."""
    specs = client.get(address(model)).context["cl"].filter_specs
    [spec] = [spec for spec in specs if spec.parameter_name == parameter]
    return [value for value, _label in spec.lookup_choices]


def test_results_by_status_queue_and_task(admin_client: Client) -> None:
    [mail] = scenes.results(queue_name="mail")
    [failed] = scenes.results(status="FAILED", task=boom)
    [added] = scenes.results(task=add, args=[1, 2])
    assert filtered(admin_client, "result", status="FAILED") == {failed}
    assert filtered(admin_client, "result", queue="mail") == {mail}
    assert filtered(admin_client, "result", task="tests.tasks.add") == {added}
    assert filtered(admin_client, "result", queue="default", status="SUCCESSFUL") == {added}
    assert filtered(admin_client, "result", task="tests.tasks.add", queue="mail") == set()
    assert choices(admin_client, "result", "queue") == ["default", "mail"]
    assert choices(admin_client, "result", "task") == ["tests.tasks.add", "tests.tasks.boom", "tests.tasks.noop"]


def test_jobs_by_status_queue_task_and_worker(admin_client: Client) -> None:
    worker = scenes.add_worker().pk
    [held] = scenes.running(worker=worker, queue_name="busy")
    [ready], [later] = scenes.jobs(task=add, args=[1, 2]), scenes.jobs(run_after=timedelta(hours=1), queue_name="mail")
    assert filtered(admin_client, "job", status="RUNNING") == {held}
    assert filtered(admin_client, "job", status="SCHEDULED") == {later}
    assert filtered(admin_client, "job", queue="mail") == {later}
    assert filtered(admin_client, "job", task="tests.tasks.add") == {ready}
    assert filtered(admin_client, "job", worker=worker) == {held}
    assert choices(admin_client, "job", "queue") == ["busy", "default", "mail"]
    assert choices(admin_client, "job", "worker") == [worker]


def test_by_the_time_of_enqueueing(admin_client: Client) -> None:
    [fresh, *_] = old = scenes.results(4)
    now = timezone.now()
    ages = (timedelta(minutes=59), timedelta(hours=23), timedelta(days=6), timedelta(days=8))
    keys = [first_id_at(now - age) for age in ages]
    for was, key in zip(old, keys, strict=True):
        Result.objects.filter(pk=was).update(id=key)
    assert fresh not in keys
    assert filtered(admin_client, "result", enqueued="hour") == set(keys[:1])
    assert filtered(admin_client, "result", enqueued="day") == set(keys[:2])
    assert filtered(admin_client, "result", enqueued="week") == set(keys[:3])
    assert filtered(admin_client, "result", enqueued="nonsense") == set(keys)


def test_an_id_lies_between_the_bounds_of_its_time() -> None:
    before = first_id_at(timezone.now())
    key = uuid7()
    assert before <= key < first_id_at(timezone.now() + timedelta(seconds=1))


@pytest.mark.parametrize("value", ["none of these", "\0", "'", "é" * 500])
def test_a_filter_by_what_does_not_exist_finds_nothing(admin_client: Client, value: str) -> None:
    scenes.results()
    scenes.jobs()
    for model in ("job", "result"):
        for parameter in ("status", "queue", "task"):
            assert filtered(admin_client, model, **{parameter: value}) == set()


def test_a_chosen_value_stays_visible(admin_client: Client) -> None:
    page = admin_client.get(address("result"), {"queue": "long gone"})
    assert "long gone" in text(page)
    assert "Clear all filters" in text(page)


def test_by_queue_only_the_newest_results_are_searched(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_tasks_q.admin.lists.filters.SEARCHED", 5)
    scenes.results(queue_name="mail")
    [newer] = scenes.results(queue_name="mail")
    scenes.results(4)
    page = admin_client.get(address("result"), {"queue": "mail"})
    assert rows(page) == [newer]
    assert "Filtering by queue searches only the newest 5 results." in text(page)


def test_there_is_no_filter_by_backend_where_there_is_one_backend(admin_client: Client) -> None:
    scenes.results()
    scenes.jobs()
    Job.objects.update(backend="gone")
    for model in ("job", "result", "worker"):
        page = admin_client.get(address(model))
        assert "By backend" not in text(page)
    assert len(rows(admin_client.get(address("job"), {"backend": "default"}))) == 1
