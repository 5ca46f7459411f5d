"""What DEP 14 promises of tasks and of their validation, on every supported Django."""

import pickle
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings
from django.utils.module_loading import import_string

from django_tasks_q import Task
from django_tasks_q.backend import TasksQBackend
from django_tasks_q.compat import (
    FRAMEWORK,
    BaseTask,
    BaseTaskBackend,
    InvalidTask,
    InvalidTaskBackend,
    task_backends,
)

from . import tasks

framework = import_module(FRAMEWORK)
BACKEND = "django_tasks_q.backend.TasksQBackend"
needs_pickling = pytest.mark.skipif(django.VERSION < (6, 1), reason="Tasks can be pickled from Django 6.1 on.")


class PoorBackend(TasksQBackend):
    """Supports nothing that is optional."""

    supports_defer = False
    supports_async_task = False
    supports_priority = False


def backends(**others: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": BACKEND, "QUEUES": []}, **others}


# The decorator


def test_the_frameworks_decorator_makes_tasks_of_the_backends_class() -> None:
    for task in (tasks.add, tasks.add_async, tasks.nothing):
        assert isinstance(task, BaseTask)
        assert type(task) is Task
    assert (tasks.add.priority, tasks.add.queue_name, tasks.add.backend) == (0, "default", "default")
    assert (tasks.add.run_after, tasks.add.takes_context) == (None, False)
    assert (tasks.nothing.priority, tasks.describe.takes_context) == (7, True)


def test_a_task_is_found_at_its_path() -> None:
    for task in (tasks.add, tasks.add_async):
        assert task.module_path == f"tests.dep14.tasks.{task.name}"
        assert import_string(task.module_path) is task


def test_a_task_is_called_in_either_colour() -> None:
    for task in (tasks.add, tasks.add_async):
        assert task.call(1, b=2) == 3
        assert async_to_sync(task.acall)(1, b=2) == 3


@needs_pickling
def test_a_task_is_pickled_by_its_path() -> None:
    changed = tasks.add.using(priority=3, timeout=9, metadata={"a": [1]})
    for task in (tasks.add, tasks.nothing, changed):
        assert pickle.loads(pickle.dumps(task)) == task


@needs_pickling
@pytest.mark.parametrize("path", ["no.such.module.task", "builtins.len", "tests.dep14.tasks.nobody"])
def test_what_is_no_task_is_not_unpickled(path: str) -> None:
    with pytest.raises(ValueError, match=f"Expected '{path}' to point to a Task instance"):
        Task._reconstruct({"func": path})


# using()


def test_using_makes_an_equal_copy_where_nothing_is_given() -> None:
    copy = tasks.add.using()
    assert copy == tasks.add
    assert copy is not tasks.add
    assert hash(copy) == hash(tasks.add)


def test_using_adds_up_and_leaves_the_task_as_it_was() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    later = tasks.add.using(run_after=moment)
    urgent = later.using(priority=9)
    elsewhere = urgent.using(queue_name="elsewhere")
    assert (elsewhere.run_after, elsewhere.priority, elsewhere.queue_name) == (moment, 9, "elsewhere")
    assert (later.priority, urgent.queue_name) == (0, "default")
    assert (tasks.add.run_after, tasks.add.priority, tasks.add.queue_name) == (None, 0, "default")


def test_using_another_backend() -> None:
    with override_settings(TASKS=backends(other={"BACKEND": BACKEND, "QUEUES": []})):
        other = tasks.add.using(backend="other")
        assert (other.backend, other.get_backend().alias) == ("other", "other")
        assert other.get_backend() is task_backends["other"]


def test_a_backend_that_is_not_there() -> None:
    with (
        override_settings(TASKS=backends(broken={"BACKEND": "no.such.Backend"})),
        pytest.raises(InvalidTaskBackend, match=r"Could not find backend 'no\.such\.Backend'"),
    ):
        tasks.add.using(backend="broken")
    with pytest.raises(InvalidTaskBackend, match="The connection 'nowhere' doesn't exist"):
        tasks.add.using(backend="nowhere")
    with override_settings(TASKS={}), pytest.raises(InvalidTaskBackend):
        tasks.add.enqueue(1, 2)


# validate_task()


@pytest.mark.parametrize("priority", [-101, 101, 0.5, 99.9])
def test_a_priority_is_a_whole_number_of_a_range(priority: Any) -> None:
    with pytest.raises(InvalidTask, match=r"priority must be a whole number between -100 and 100\."):
        tasks.add.using(priority=priority)


@pytest.mark.parametrize("priority", [-100, 0, 100])
def test_the_ends_of_the_range_belong_to_it(priority: int) -> None:
    assert tasks.add.using(priority=priority).priority == priority


def test_a_moment_is_aware_where_moments_are() -> None:
    naive = datetime(2030, 1, 1)
    with override_settings(USE_TZ=True), pytest.raises(InvalidTask, match=r"run_after must be an aware datetime\."):
        tasks.add.using(run_after=naive)
    with override_settings(USE_TZ=False):
        assert tasks.add.using(run_after=naive).run_after == naive


@pytest.mark.parametrize("use_tz", [True, False])
def test_a_moment_may_be_a_time_from_now(use_tz: bool) -> None:
    with override_settings(USE_TZ=use_tz):
        assert tasks.add.using(run_after=timedelta(minutes=1)).run_after == timedelta(minutes=1)


@pytest.mark.parametrize("run_after", [timedelta.max, timedelta.min])
def test_a_time_from_now_has_an_end(run_after: timedelta) -> None:
    with pytest.raises(InvalidTask, match="run_after is .* from now, which is more than a datetime can say"):
        tasks.add.using(run_after=run_after)


def local() -> Any:
    def inner() -> None:
        """Be where no import reaches."""

    return inner


@pytest.mark.parametrize("function", [len, local(), tasks.add.call], ids=["builtin", "local", "method"])
def test_a_function_is_at_the_top_of_a_module(function: Any) -> None:
    with pytest.raises(InvalidTask, match=r"Task function must be defined at a module level\."):
        framework.task(function)


def test_a_context_is_the_first_argument() -> None:
    with pytest.raises(InvalidTask, match=r"Task takes context but does not have a first argument of 'context'\."):
        framework.task(takes_context=True)(tasks.add.func)


def test_only_listed_queues_are_valid() -> None:
    with override_settings(TASKS={"default": {"BACKEND": BACKEND, "QUEUES": ["default", "mail"]}}):
        assert tasks.add.using(queue_name="mail").queue_name == "mail"
        with pytest.raises(InvalidTask, match=r"Queue 'fax' is not valid for backend\."):
            tasks.add.using(queue_name="fax")


def test_without_a_list_there_is_the_default_queue_alone() -> None:
    with (
        override_settings(TASKS={"default": {"BACKEND": BACKEND}}),
        pytest.raises(InvalidTask, match=r"Queue 'mail' is not valid for backend\."),
    ):
        tasks.add.using(queue_name="mail")


def test_an_empty_list_allows_every_queue() -> None:
    with override_settings(TASKS={"default": {"BACKEND": BACKEND, "QUEUES": []}}):
        assert tasks.add.using(queue_name="anything").queue_name == "anything"


# The backend


def test_every_feature_is_supported() -> None:
    backend = task_backends["default"]
    assert isinstance(backend, BaseTaskBackend)
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


def test_a_subclass_may_support_less() -> None:
    poor = backends(poor={"BACKEND": f"{__name__}.PoorBackend", "QUEUES": []})
    with override_settings(TASKS=poor):
        with pytest.raises(InvalidTask, match=r"Backend does not support run_after\."):
            tasks.add.using(backend="poor", run_after=datetime(2030, 1, 1, tzinfo=UTC))
        with pytest.raises(InvalidTask, match=r"Backend does not support async [Tt]asks\."):
            tasks.add_async.using(backend="poor")
        with pytest.raises(InvalidTask, match=r"Backend does not support setting priority of tasks\."):
            tasks.add.using(backend="poor", priority=1)


def test_a_subclass_that_cannot_defer_takes_no_timedelta_either() -> None:
    poor = backends(poor={"BACKEND": f"{__name__}.PoorBackend", "QUEUES": []})
    with (
        override_settings(TASKS=poor),
        pytest.raises(InvalidTask, match=r"Backend does not support run_after\."),
    ):
        tasks.add.using(backend="poor", run_after=timedelta(minutes=1))


def test_what_the_settings_say_is_on_the_backend() -> None:
    given = {"BACKEND": BACKEND, "QUEUES": ["a", "b"], "OPTIONS": {"max_attempts": 3}}
    with override_settings(TASKS=backends(other=given)):
        other = task_backends["other"]
        assert (other.alias, other.queues, other.options) == ("other", {"a", "b"}, {"max_attempts": 3})


def test_good_settings_pass_the_checks() -> None:
    assert list(task_backends["default"].check()) == []
