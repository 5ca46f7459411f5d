"""A context without a queue."""

import uuid

import pytest

from django_tasks_q.context import Context
from django_tasks_q.testing import make_context

from ..tasks import describe_context
from . import tasks


def test_a_task_can_be_called_with_one() -> None:
    found = describe_context.call(make_context(attempt=2, metadata={"a": 1}), 5)
    assert (found["attempt"], found["metadata"], found["args"]) == (2, {"a": 1}, [5])
    assert uuid.UUID(found["id"]).version == 7


def test_it_keeps_what_the_task_says_of_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    context = make_context(tasks.report, args=[2], id="7")
    assert isinstance(context, Context)
    assert (context.id, context.task_result.task, context.task_result.args) == ("7", tasks.report, [2])
    assert tasks.report.call(context, 2) == 2
    assert [each[:3] for each in context.control.progress] == [(1, 2, "page 1"), (2, 2, "page 2")]


def test_it_can_be_cancelled_from_the_beginning_or_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tasks.report.call(make_context(is_cancelled=True), 2) == 0
    context = make_context()
    monkeypatch.setattr(tasks, "service", lambda given: setattr(given.control, "is_cancelled", True))
    assert tasks.report.call(context, 2) == 1
