"""The same with the fixtures of pytest."""

from datetime import timedelta
from unittest import mock

import pytest
from shop.tasks import ask_for_review, build_report, clean_up, count_receipts, hang, send_receipt


def test_a_view(tasks_q, client):
    client.post("/buy/", {"order": "A1"})
    tasks_q.assert_enqueued(send_receipt, "A1")
    with mock.patch("shop.mail.send"):
        assert len(tasks_q.run_jobs(raise_errors=True)) == 1
    tasks_q.assert_enqueued(ask_for_review, "A1", run_after=timedelta(days=7))
    tasks_q.travel(timedelta(days=7))
    assert [result.return_value for result in tasks_q.run_jobs()] == ["How was A1?"]


def test_a_schedule(tasks_q):
    tasks_q.fire_schedules("shop.tasks.clean_up")
    tasks_q.assert_enqueued(clean_up)


def test_immediately(tasks_q_immediate):
    assert build_report.enqueue(2).return_value == "done"
    assert tasks_q_immediate.make_context().attempt == 1


def test_an_async_task(tasks_q_immediate):
    assert count_receipts.enqueue().return_value == 0


@pytest.mark.needs_commits
def test_a_time_limit(tasks_q_worker):
    result = hang.enqueue().wait(timeout=120)
    assert "TaskTimeout" in result.errors[0].exception_class_path
    assert "is ready" in tasks_q_worker.output
