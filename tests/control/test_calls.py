import uuid
from datetime import timedelta
from typing import Any

import pytest

from django_tasks_q.compat import InvalidTask
from django_tasks_q.control.calls import enqueue_call, parameters_of, retry_edited
from django_tasks_q.exceptions import JobNotFound, UnknownTask
from django_tasks_q.models import Job, Result

from .. import scenes
from ..tasks import add, describe_context, noop

pytestmark = pytest.mark.django_db


def test_a_call_is_enqueued_by_the_path_of_its_task() -> None:
    key = enqueue_call(add.module_path, [1], {"b": 2}, queue="mail", priority=-7, run_after=timedelta(hours=1))
    job = Job.objects.get()
    assert (job.pk, job.args, job.kwargs, job.parent_id) == (key, [1], {"b": 2}, None)
    assert (job.queue_name, job.priority, job.status) == ("mail", -7, "SCHEDULED")


@pytest.mark.parametrize(
    ("path", "args", "error", "words"),
    [
        ("tests.tasks.nothing", [], InvalidTask, "There is no task"),
        ("os.system", ["true"], InvalidTask, "has no @task decorator"),
        (add.module_path, [1], TypeError, r"add\(\) does not take these arguments: missing a required argument: 'b'"),
        (add.module_path, [1, 2, 3], TypeError, "too many positional arguments"),
        (add.module_path, [1, {1}], TypeError, "is a set, which is not JSON"),
    ],
)
def test_what_no_worker_could_run_is_refused(path: str, args: list[Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        enqueue_call(path, args, {})
    assert not Job.objects.exists()


def test_a_retry_with_other_arguments_is_a_new_job() -> None:
    [old] = scenes.results(
        status="FAILED", task=add, args=[1, "x"], queue_name="mail", metadata={"m": 1}, timeout=3, run_after=None
    )
    key = retry_edited(old, [1], {"b": 2})
    job = Job.objects.get()
    assert (job.pk, job.parent_id) == (key, old)
    assert (job.args, job.kwargs) == ([1], {"b": 2})
    assert (job.queue_name, job.priority, job.metadata, job.options) == ("mail", 100, {"m": 1}, {"timeout": 3.0})
    assert Result.objects.get().args == [1, "x"]


def test_a_retry_with_other_arguments_needs_the_task_and_arguments_that_it_takes() -> None:
    [old] = scenes.results(status="FAILED", task=add, args=[1, 2])
    with pytest.raises(TypeError, match="missing a required argument"):
        retry_edited(old, [], {})
    with pytest.raises(JobNotFound):
        retry_edited(uuid.uuid4(), [], {})
    Result.objects.update(task_path="tests.tasks.gone")
    with pytest.raises(UnknownTask):
        retry_edited(old, [1, 2], {})
    assert not Job.objects.exists()


def test_the_parameters_of_a_task_are_without_its_context() -> None:
    assert [parameter.name for parameter in parameters_of(describe_context)] == ["args"]
    assert [parameter.name for parameter in parameters_of(noop)] == ["args", "kwargs"]
