import copy
import inspect
import pickle
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import django
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import Context as DjangoContext
from django.template import Template

from django_tasks_q import Constant, Exponential, Linear, Task, TasksQResult, enqueue, task
from django_tasks_q.compat import FRAMEWORK, InvalidTask, InvalidTaskBackend
from django_tasks_q.conf import Options
from django_tasks_q.exceptions import UnknownTask
from django_tasks_q.models import Job
from django_tasks_q.specs import changed_options
from django_tasks_q.task import declared_task
from django_tasks_q.task_options import OPTION_NAMES, resolve_options

from . import tasks
from .tasks import add

framework = import_module(FRAMEWORK)
FORWARDS_OPTIONS = any(
    parameter.kind is inspect.Parameter.VAR_KEYWORD
    for parameter in inspect.signature(framework.task).parameters.values()
)


@task(
    queue_name="mail",
    priority=10,
    max_attempts=5,
    backoff=Exponential(first=3, cap=60),
    retry_on=(OSError, KeyError),
    dont_retry_on=FileNotFoundError,
    timeout=timedelta(minutes=1),
    soft_timeout=50,
    metadata={"team": "shop"},
    atomic=True,
    store_result=False,
)
def with_everything(value: int = 0) -> int:
    """Say what it does."""
    return value + 1


@framework.task
def plain(value: int = 0) -> int:
    return value + 1


@framework.task(queue_name="plain", priority=3, takes_context=True)
def plain_with_settings(context: Any) -> int:
    return int(context.attempt)


def test_the_decorator_keeps_every_option() -> None:
    assert isinstance(with_everything, Task)
    assert (with_everything.queue_name, with_everything.priority, with_everything.backend) == ("mail", 10, "default")
    assert {name: getattr(with_everything, name) for name in OPTION_NAMES} == {
        "max_attempts": 5,
        "backoff": Exponential(first=3, cap=60),
        "retry_on": (OSError, KeyError),
        "dont_retry_on": (FileNotFoundError,),
        "timeout": 60.0,
        "soft_timeout": 50.0,
        "metadata": {"team": "shop"},
        "atomic": True,
        "store_result": False,
    }


def test_tasks_and_results_can_be_annotated() -> None:
    # As in a signature, which Python reads when the module is imported.
    assert Task[[int, str], bool].__origin__ is Task
    assert TasksQResult[bool].__origin__ is TasksQResult


def test_a_bare_decorator_leaves_every_option_to_the_backend() -> None:
    assert isinstance(tasks.add, Task)
    assert {getattr(tasks.add, name) for name in OPTION_NAMES} == {None}
    assert (tasks.add.queue_name, tasks.add.priority, tasks.add.backend) == ("default", 0, "default")
    assert tasks.add.module_path == "tests.tasks.add"


def test_a_task_can_still_be_called() -> None:
    assert with_everything.call(1) == 2
    assert with_everything.func(1) == 2
    assert with_everything.name == "with_everything"


def test_a_call_of_the_decorator_without_anything_is_a_bare_one() -> None:
    made = task()(tasks.add.func)
    assert made == tasks.add


def test_one_exception_or_a_list_of_them_becomes_a_tuple() -> None:
    assert task(retry_on=OSError)(tasks.add.func).retry_on == (OSError,)
    assert task(retry_on=[OSError, KeyError])(tasks.add.func).retry_on == (OSError, KeyError)


@pytest.mark.parametrize(
    ("backoff", "policy"), [(5, Constant(5.0)), ([1, 2], Constant((1.0, 2.0))), (Linear(4), Linear(4))]
)
def test_backoff_takes_seconds_sequences_and_policies(backoff: Any, policy: Any) -> None:
    assert task(backoff=backoff)(tasks.add.func).backoff == policy
    assert tasks.add.using(backoff=backoff).backoff == policy


# using()


def test_using_changes_a_copy() -> None:
    changed = with_everything.using(
        priority=-5, queue_name="slow", max_attempts=1, timeout=timedelta(hours=1), atomic=False
    )
    assert (changed.priority, changed.queue_name, changed.max_attempts, changed.timeout) == (-5, "slow", 1, 3600.0)
    assert changed.atomic is False
    assert (changed.backoff, changed.soft_timeout) == (with_everything.backoff, 50.0)
    assert (with_everything.priority, with_everything.max_attempts) == (10, 5)


def test_none_leaves_a_setting_as_it_is() -> None:
    assert with_everything.using(priority=None, timeout=None, metadata=None, run_after=None) == with_everything


def test_zero_is_a_setting() -> None:
    changed = with_everything.using(priority=0, max_attempts=0)
    assert (changed.priority, changed.max_attempts) == (0, 0)


def test_metadata_is_added_to_what_the_task_has() -> None:
    assert with_everything.using(metadata={"order": 3}).metadata == {"team": "shop", "order": 3}
    assert with_everything.using(metadata={"team": "mail"}).metadata == {"team": "mail"}
    assert tasks.add.using(metadata={"order": 3}).metadata == {"order": 3}


def test_using_can_be_repeated() -> None:
    changed = tasks.add.using(priority=3).using(timeout=9).using(metadata={"a": 1}).using(metadata={"b": 2})
    assert (changed.priority, changed.timeout, changed.metadata) == (3, 9.0, {"a": 1, "b": 2})


def test_tasks_are_equal_by_value_and_can_be_keys() -> None:
    assert tasks.add.using(timeout=3) == tasks.add.using(timeout=3)
    assert tasks.add.using(timeout=3) != tasks.add
    assert len({tasks.add, tasks.add.using(timeout=3), tasks.add.using(metadata={"a": [1]}), tasks.add}) == 3


# What makes no sense


@pytest.mark.parametrize("decorate", [task, tasks.add.using], ids=["decorator", "using"])
def test_an_unknown_option_is_refused(decorate: Callable[..., Any]) -> None:
    with pytest.raises(
        TypeError, match="unknown option 'max_retries'. Options: .*queue_name, .*max_attempts, backoff"
    ):
        decorate(max_retries=3)


def test_run_after_cannot_stand_in_the_decorator() -> None:
    with pytest.raises(TypeError, match=r"Use \.using\(run_after=\.\.\.\)"):
        task(run_after=timedelta(1))(tasks.add.func)


SENSELESS = {
    "negative attempts": ({"max_attempts": -1}, "max_attempts must be a whole number, 0 for no limit, not -1"),
    "attempts as text": ({"max_attempts": "3"}, "max_attempts must be a whole number"),
    "attempts as a flag": ({"max_attempts": True}, "max_attempts must be a whole number"),
    "half an attempt": ({"max_attempts": 1.5}, "max_attempts must be a whole number"),
    "no time": (
        {"timeout": 0},
        "timeout must be a positive number of seconds or a timedelta, at most a hundred years, not 0",
    ),
    "negative time": ({"timeout": timedelta(seconds=-1)}, "timeout must be a positive number"),
    "time as text": (
        {"soft_timeout": "10"},
        "soft_timeout must be a positive number of seconds or a timedelta, at most a hundred years, not '10'",
    ),
    "time as a flag": ({"timeout": True}, "timeout must be a positive number"),
    "endless time": ({"timeout": float("inf")}, "timeout must be a positive number"),
    "no number": ({"timeout": float("nan")}, "timeout must be a positive number"),
    "soft after hard": (
        {"timeout": 10, "soft_timeout": 10},
        "soft_timeout (10 s) must be shorter than timeout (10 s)",
    ),
    "exception by name": ({"retry_on": "OSError"}, "retry_on must be exception classes, not 'OSError'"),
    "an instance": ({"retry_on": (OSError("x"),)}, "retry_on must be exception classes"),
    "no exception": ({"retry_on": (int,)}, "retry_on must be exception classes, not <class 'int'>"),
    "metadata as a list": ({"metadata": [1]}, "metadata must be a dict, not [1]"),
    "metadata with a set": ({"metadata": {"a": {1}}}, "metadata['a'] is a set, which is not JSON"),
    "atomic as text": ({"atomic": "yes"}, "atomic must be True or False, not 'yes'"),
    "store_result as a number": ({"store_result": 1}, "store_result must be True or False, not 1"),
    "backoff as text": ({"backoff": "exponential"}, "backoff must be a policy"),
    "a class for a policy": ({"backoff": Exponential}, "backoff must be a policy"),
}


@pytest.mark.parametrize(("options", "message"), SENSELESS.values(), ids=SENSELESS)
def test_an_option_that_makes_no_sense_is_refused_at_definition_and_in_using(
    options: dict[str, Any], message: str
) -> None:
    for define in (lambda: task(**options)(tasks.add.func), lambda: tasks.add.using(**options)):
        with pytest.raises(InvalidTask) as caught:
            define()
        assert message in str(caught.value)


def test_a_soft_limit_behind_the_hard_one_of_the_task_is_refused() -> None:
    with pytest.raises(InvalidTask, match="must be shorter than timeout"):
        with_everything.using(soft_timeout=61)


@pytest.mark.parametrize("priority", [-101, 101, 1.5, "high"])
def test_a_priority_out_of_range_is_refused(priority: Any) -> None:
    with pytest.raises(InvalidTask):
        tasks.add.using(priority=priority).enqueue(1, 2)


def test_only_functions_of_a_module_can_be_tasks() -> None:
    def inner() -> None: ...

    for wrong in (inner, lambda: None, len):
        with pytest.raises(InvalidTask):
            task(wrong).enqueue()  # type: ignore[arg-type]


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InvalidTaskBackend):
        task(backend="nowhere")(tasks.add.func)


def test_a_queue_that_the_backend_does_not_list_is_refused(settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "QUEUES": ["mail"]}}
    with pytest.raises(InvalidTask):
        tasks.add.using(queue_name="post").enqueue(1, 2)


@pytest.mark.parametrize("name", ["", "q" * 129])
def test_a_queue_name_must_fit_the_column(name: str) -> None:
    with pytest.raises(InvalidTask, match="must have 1 to 128 characters"):
        tasks.add.using(queue_name=name).enqueue(1, 2)


@pytest.mark.django_db
def test_the_longest_queue_name_fits() -> None:
    tasks.add.using(queue_name="q" * 128).enqueue(1, 2)
    assert Job.objects.get().queue_name == "q" * 128


def test_a_task_that_no_worker_could_find_is_refused() -> None:
    hidden = task(tasks.noop.func.__globals__["_leave"])
    with pytest.raises(InvalidTask, match=r"could not import the task from 'tests\.tasks\._leave'"):
        hidden.enqueue("x", None)


def test_a_task_of_a_script_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.add.func, "__module__", "__main__")
    with pytest.raises(InvalidTask, match="not in a script that is run"):
        tasks.add.enqueue(1, 2)


@pytest.mark.parametrize(
    "path", ["tests.tasks", "tests.tasks.nothing", "nothing", "", "os.getpid", "tests.tasks.Effect"]
)
def test_what_is_no_task_is_not_found(path: str) -> None:
    with pytest.raises(UnknownTask, match=f"There is no task at '{path}'"):
        declared_task(path)


def test_a_task_is_found_at_its_path() -> None:
    assert declared_task("tests.tasks.add") is tasks.add


@pytest.mark.parametrize(
    "content", ["import nothing_at_all", "def broken(:", "1 / 0", "from . import tasks", "exit(1)"]
)
def test_a_module_that_fails_says_how(content: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "failing_tasks.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UnknownTask, match=r"There is no task at 'failing_tasks\.one': \w+(Error|Exit): ."):
        declared_task("failing_tasks.one")


# What is stored of a call's own options


def test_only_what_differs_from_the_definition_is_stored() -> None:
    assert changed_options(with_everything) == {}
    assert changed_options(with_everything.using(timeout=60, max_attempts=9)) == {"max_attempts": 9}
    assert changed_options(with_everything.using(priority=3, metadata={"a": 1})) == {}


def test_policies_and_exceptions_are_stored_as_json() -> None:
    given = {"backoff": [1, 2], "retry_on": (OSError, KeyError), "dont_retry_on": FileNotFoundError}
    assert changed_options(tasks.add.using(**given)) == {
        "backoff": {"kind": "constant", "seconds": (1.0, 2.0)},
        "retry_on": ["builtins.OSError", "builtins.KeyError"],
        "dont_retry_on": ["builtins.FileNotFoundError"],
    }


@pytest.mark.django_db
def test_a_fetched_task_has_the_options_of_its_call() -> None:
    changed = with_everything.using(
        priority=-3,
        queue_name="slow",
        max_attempts=2,
        backoff=(1, 60),
        retry_on=(ConnectionError,),
        dont_retry_on=(ConnectionRefusedError,),
        timeout=5,
        soft_timeout=2.5,
        metadata={"order": 9},
        atomic=False,
        store_result=True,
    )
    assert with_everything.get_result(changed.enqueue(1).id).task == changed
    assert with_everything.get_result(with_everything.enqueue(1).id).task == with_everything


def test_a_policy_of_ones_own_can_stand_in_the_decorator_only() -> None:
    class Mine:
        def delay(self, attempt: int, error: BaseException, job: Any) -> float:
            return 1.0

    assert isinstance(task(backoff=Mine())(tasks.add.func).backoff, Mine)
    with pytest.raises((TypeError, InvalidTask), match="only allowed in the decorator"):
        tasks.add.using(backoff=Mine()).enqueue(1, 2)


def test_options_come_from_the_call_then_the_task_then_the_backend() -> None:
    backend = Options(max_attempts=7, timeout=70, store_result=False)
    resolved = resolve_options(tasks.add, backend)
    assert (resolved.max_attempts, resolved.timeout, resolved.store_result) == (7, 70, False)
    assert (resolved.retry_on, resolved.atomic) == ((Exception,), False)
    resolved = resolve_options(with_everything, backend)
    assert (resolved.max_attempts, resolved.timeout, resolved.retry_on) == (5, 60, (OSError, KeyError))
    resolved = resolve_options(with_everything.using(max_attempts=0, timeout=55), backend)
    assert (resolved.max_attempts, resolved.timeout) == (0, 55)


# The framework's own decorator


@pytest.mark.django_db
def test_the_frameworks_own_decorator_works_with_this_backend() -> None:
    assert plain.enqueue(1).status == "READY"
    assert enqueue(plain_with_settings).task.queue_name == "plain"
    assert [(job.task_path, job.queue_name, job.priority) for job in Job.objects.all()] == [
        ("tests.test_task.plain", "default", 0),
        ("tests.test_task.plain_with_settings", "plain", 3),
    ]


@pytest.mark.django_db
def test_a_plain_task_takes_our_options_in_using() -> None:
    result = plain.using(max_attempts=4, timeout=3).enqueue(1)
    assert Job.objects.get().options == {"max_attempts": 4, "timeout": 3.0}
    assert plain.get_result(result.id).task.max_attempts == 4


def test_plain_tasks_leave_their_options_to_the_backend() -> None:
    assert resolve_options(plain, Options(max_attempts=7)).max_attempts == 7


def test_the_frameworks_own_decorator_takes_our_options_where_it_forwards_them() -> None:
    if not FORWARDS_OPTIONS:
        with pytest.raises(TypeError):
            framework.task(max_attempts=3)
        return
    made = framework.task(max_attempts=3, timeout=timedelta(seconds=5))(tasks.add.func)
    assert (made.max_attempts, made.timeout) == (3, 5.0)
    with pytest.raises(InvalidTask):
        framework.task(max_attempts=-3)(tasks.add.func)


def test_a_backend_that_is_wrongly_configured_says_so_at_first_use(settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"timeouts": 3}}}
    with pytest.raises(ImproperlyConfigured, match='no option "timeouts". Did you mean "timeout"'):
        tasks.add.enqueue(1, 2)


# Habits


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("delay", r"write add\.enqueue\(\.\.\.\)\.$"),
        ("apply_async", r"add\.using\(run_after=\.\.\., queue_name=\.\.\.\)\.enqueue"),
        ("s", "enqueue the next task at the end of the one before"),
        ("bogus", "'Task' object has no attribute 'bogus'$"),
    ],
)
def test_what_other_queues_have_is_explained(name: str, instead: str) -> None:
    with pytest.raises(AttributeError, match=instead) as raised:
        getattr(add, name)
    assert (raised.value.name, raised.value.obj) == (name, add)
    assert not hasattr(add, name)


def test_a_task_is_no_function() -> None:
    with pytest.raises(TypeError, match=r"write add\.enqueue\(\.\.\.\) .* or add\.call\(\.\.\.\) to run it here"):
        add(1, 2)


def test_a_template_does_not_call_a_task() -> None:
    assert Template("{{ task.name }} {{ task.delay }}").render(DjangoContext({"task": add})) == "add "


def test_a_task_can_still_be_copied_and_pickled() -> None:
    assert copy.copy(add) == copy.deepcopy(add) == add
    # They can be pickled from Django 6.1 on.
    assert django.VERSION < (6, 1) or pickle.loads(pickle.dumps(add)) == add
