"""Where jobs are made of calls: once for all who enqueue."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_tasks_q.brokers.values import JobSpec
from django_tasks_q.compat import InvalidTask
from django_tasks_q.conf import Options
from django_tasks_q.exceptions import PayloadTooLarge, UnserializableError
from django_tasks_q.models import Job
from django_tasks_q.results import running_job
from django_tasks_q.specs import fill_template, find_run_after, look_at_task, make_template

from . import tasks

LIMIT = 1_024


def template(**changes: Any) -> JobSpec:
    given: dict[str, Any] = {"queue_name": "mail", "priority": 3.0, "options": {}, "metadata": {}}
    return make_template("shop.tasks.send", timezone.now(), LIMIT, **given | changes)


def test_each_call_has_an_id_and_arguments_of_its_own() -> None:
    common = template(metadata={"a": 1}, options={"timeout": 5}, parent_id="p")
    first, second = (fill_template(common, [n], {"b": n}, LIMIT) for n in (1, 2))
    assert first.id < second.id
    assert first._replace(id="", args="[]", kwargs="{}") == common
    assert (first.args, second.kwargs) == ("[1]", '{"b":2}')
    assert (first.priority, first.options, first.metadata) == (3, '{"timeout":5}', '{"a":1}')


def test_what_cannot_be_stored_is_named() -> None:
    with pytest.raises(UnserializableError, match="metadata"):
        template(metadata={"a": object()})
    with pytest.raises(PayloadTooLarge, match="Options"):
        template(options={"a": "x" * LIMIT})
    with pytest.raises(UnserializableError, match=r"kwargs\['b'\]"):
        fill_template(template(), [], {"b": object()}, LIMIT)


def test_every_field_is_a_column_of_a_job() -> None:
    assert {field.column for field in Job._meta.fields} >= set(JobSpec._fields)


def test_the_calls_of_a_task_are_children_of_the_job_that_runs_here() -> None:
    token = running_job.set("parent")
    try:
        found = look_at_task(tasks.add, timezone.now(), Options(), "elsewhere")
    finally:
        running_job.reset(token)
    spec, result = found.prepare([1, 2], {})
    assert (spec.parent_id, spec.id, spec.args) == ("parent", result.id, "[1,2]")
    assert (result.backend, result.task) == ("elsewhere", tasks.add)


def test_arguments_are_compared_with_the_function_unless_that_is_off() -> None:
    now = timezone.now()
    with pytest.raises(TypeError, match=r"add\(\) does not take these arguments"):
        look_at_task(tasks.add, now, Options(), "default").prepare([1, 2, 3], {})
    assert look_at_task(tasks.add, now, Options(check_arguments=False), "default").prepare([1, 2, 3], {})


def test_a_delay_begins_with_the_call() -> None:
    now = timezone.now()
    assert find_run_after(None, now) is None
    assert find_run_after(timedelta(minutes=5), now) == now + timedelta(minutes=5)
    with pytest.raises(InvalidTask, match="more than a datetime can say"):
        find_run_after(timedelta.max, now)
