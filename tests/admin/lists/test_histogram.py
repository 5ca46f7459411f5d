"""The bars above a list, the span of time that they choose, and the way further down."""

from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.test import Client
from django.utils import timezone

from django_tasks_q.admin.lists.periods import range_text
from django_tasks_q.models import Job, Result
from django_tasks_q.monitoring import histogram

from ... import scenes
from ..pages import address, rows, text

pytestmark = pytest.mark.django_db


def drawn(client: Client, model: str = "result", **query: str) -> Any:
    return client.get(address(model), query).context["cl"].histogram


def totals(bars: list[histogram.Bar]) -> dict[str, int]:
    return {status: sum(int(bar.counts[status]) for bar in bars) for status in bars[0].counts}


def test_results_stand_where_they_finished(admin_client: Client) -> None:
    scenes.results(3, "FAILED", seconds_ago=3_600)
    scenes.results(2)
    now = datetime.now(UTC)
    bars = histogram.result_histogram("default", now - timedelta(hours=24), now + timedelta(minutes=1))
    assert totals(bars) == {"SUCCESSFUL": 2, "FAILED": 3, "CANCELLED": 0}
    [failed] = [bar for bar in bars if bar.counts["FAILED"]]
    moments = Result.objects.filter(status="FAILED").values_list("finished_at", flat=True)
    assert all(failed.start <= moment < failed.end for moment in moments)
    assert len(bars) <= histogram.MOST_BARS + 1


def test_a_bar_is_a_link_to_what_it_shows(admin_client: Client) -> None:
    old = scenes.results(3, "FAILED", seconds_ago=240)
    scenes.results(2)
    [column] = [column for column in drawn(admin_client, finished="hour").columns if "Failed 3" in column.text]
    listed = admin_client.get(address("result") + column.url)
    assert set(rows(listed)) == set(old)
    # There it is drawn larger.
    assert len(listed.context["cl"].histogram.columns) > 10
    assert sum("Failed" in column.text for column in listed.context["cl"].histogram.columns) == 1


def test_live_jobs_stand_where_they_were_enqueued(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [*scenes.jobs(2), *scenes.jobs(1, run_after=timedelta(hours=1))]
    Job.objects.update(enqueued_at=timezone.now())
    shape = drawn(admin_client, "job", enqueued="hour")
    [column] = [column for column in shape.columns if column.parts]
    assert "Ready 2" in column.text
    assert "Scheduled 1" in column.text
    assert set(rows(admin_client.get(address("job") + column.url))) == set(ids)
    monkeypatch.setattr(histogram, "MOST_JOBS", 2)
    monkeypatch.setattr("django_tasks_q.admin.lists.histogram.MOST_JOBS", 2)
    assert drawn(admin_client, "job").note == "Based on the newest 2 jobs."


def test_of_very_many_some_are_counted_and_the_rest_is_estimated(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(histogram, "MOST_COUNTED", 5)
    scenes.results(40)
    scenes.results(3, "FAILED")
    Result.objects.update(finished_at=timezone.now())
    shape = drawn(admin_client)
    counts = [number for column in shape.columns for number in column.numbers if number != "0"]
    # In the order of the stack: what failed is exact.
    assert counts[0] == "3"
    assert counts[1].startswith("~") or counts[1] == "5+"


def test_the_picture_is_well_formed_and_says_what_it_shows(admin_client: Client) -> None:
    scenes.results(2, "FAILED")
    body = admin_client.get(address("result")).content.decode()
    svg = body[body.index("<svg viewBox") : body.index("</svg>", body.index("<svg viewBox")) + 6]
    picture = ET.fromstring(svg.replace("&ndash;", "-"))
    links = picture.findall("a")
    assert links
    assert all(link.get("href") and link.get("aria-label") and link.find("title") is not None for link in links)
    assert "As a table" in text(admin_client.get(address("result")))


@pytest.mark.parametrize(
    "span",
    ["x", "~", "2026-01-01~", "2026-01-02~2026-01-01", "0001-01-01~9999-12-31", "\0", "2026-01-01T00:00:00Z~\0", "'"],
)
def test_a_span_that_is_none_shows_everything(admin_client: Client, span: str) -> None:
    scenes.results(2)
    scenes.jobs(1)
    assert admin_client.get(address("result"), {"finished": span}).status_code == 200
    assert admin_client.get(address("job"), {"enqueued": span}).status_code == 200
    if "\0" not in span:
        assert len(rows(admin_client.get(address("result"), {"finished": span}))) == 2


def test_a_span_of_centuries_is_drawn_too(admin_client: Client) -> None:
    scenes.results(2)
    shape = drawn(admin_client, finished="1971-06-01~8999-01-01")
    assert 0 < len(shape.columns) <= histogram.MOST_BARS + 1
    assert sum("Successful 2" in column.text for column in shape.columns) == 1


def test_a_span_takes_what_is_in_it(admin_client: Client) -> None:
    chosen, other = scenes.results(1, seconds_ago=100), scenes.results(1, seconds_ago=300)
    now = datetime.now(UTC).replace(microsecond=0)
    span = range_text(now - timedelta(seconds=200), now)
    assert rows(admin_client.get(address("result"), {"finished": span})) == chosen
    assert rows(admin_client.get(address("result"), {"finished": "hour"})) == sorted([*chosen, *other], reverse=True)


def test_the_list_goes_on_behind_the_last_row(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_tasks_q.monitoring.counts.BOUND", 3)
    monkeypatch.setattr("django_tasks_q.admin.lists.pagination.BOUND", 3)
    monkeypatch.setattr("django_tasks_q.admin.calls.results.ResultAdmin.list_per_page", 3)
    ids = scenes.results(7, "FAILED")
    moment = timezone.now()
    for number, key in enumerate(sorted(ids)):
        Result.objects.filter(pk=key).update(finished_at=moment + timedelta(seconds=number))
    for query in ("", "?status=FAILED"):
        seen: list[Any] = []
        url = address("result") + query
        while url:
            page = admin_client.get(url)
            seen += rows(page)
            assert len(seen) <= len(ids), query
            further = page.context["cl"].further
            url = address("result") + further if further else ""
        assert seen == sorted(ids, reverse=True), query


def test_a_narrowed_list_has_a_link_to_itself(admin_client: Client) -> None:
    scenes.results(2, "FAILED")
    assert "Link to this list" not in text(admin_client.get(address("result")))
    page = admin_client.get(address("result"), {"status": "FAILED", "q": "noop"})
    assert page.context["cl"].permalink in ("?status=FAILED&q=noop", "?q=noop&status=FAILED")


# arguments


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kwargs.order_id=42", True),
        ("kwargs.order_id = 42", True),
        ("kwargs.order_id=43", False),
        ("kwargs.order_id=4", False),
        ("kwargs.name=Zoë", True),
        ('kwargs.name="Zoë"', True),
        ("kwargs.address.city=Rome", True),
        ("kwargs.paid=true", True),
        ("kwargs.none=x", False),
        ("args.0=7", True),
        ("args.1=a=b", True),
        ("args.2=7", False),
        ("metadata.trace=t1", True),
    ],
)
def test_a_job_is_found_by_an_argument(admin_client: Client, query: str, found: bool) -> None:
    kwargs = {"order_id": 42, "name": "Zoë", "address": {"city": "Rome"}, "paid": True}
    scenes.jobs(2)
    [key], [job] = scenes.results(args=[7, "a=b"], metadata={"trace": "t1"}), scenes.jobs()
    for model in (Result, Job):
        model.objects.filter(pk__in=[key, job]).update(args=[7, "a=b"], kwargs=kwargs, metadata={"trace": "t1"})
    for model, expected in (("result", key), ("job", job)):
        page = admin_client.get(address(model), {"q": query})
        assert rows(page) == ([expected] if found else [])
        assert "only the newest 50,000 rows" in text(page)


@pytest.mark.parametrize(
    "query",
    ["kwargs.=1", "kwargs.'=1", 'kwargs."=1', "kwargs.a.b.c.d=1", "args.x=1", "args.-1=1", "args.99999999999=1",
     "kwargs." + "a." * 50 + "b=1", "kwargs.$=1", "kwargs.%s=%s", "kwargs.a=" + "[" * 5_000, "kwargs.[*]=1"],
)  # fmt: skip
def test_a_strange_argument_is_no_error(admin_client: Client, query: str) -> None:
    scenes.results(1, args=[1])
    for model in ("job", "result"):
        assert admin_client.get(address(model), {"q": query}).status_code == 200


def test_only_the_newest_are_searched(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_tasks_q.admin.lists.search.LOOKED_AT", 2)
    ids = scenes.results(4, args=[7])
    assert set(rows(admin_client.get(address("result"), {"q": "args.0=7"}))) == set(sorted(ids)[-2:])
