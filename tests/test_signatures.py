"""Arguments are compared with the function's signature where a call is made, not where it runs."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from django_tasks_q import enqueue, enqueue_many, enqueue_on_commit
from django_tasks_q.control import schedules
from django_tasks_q.exceptions import InvalidSchedule, UnserializableError
from django_tasks_q.models import Job
from django_tasks_q.schedules import every
from django_tasks_q.signatures import check_arguments

from .hypotheses import examples
from .tasks import add, describe_context, echo, noop

pytestmark = pytest.mark.django_db


def nothing() -> None: ...
def two(a: int, b: int) -> None: ...
def optional(a: int, b: int = 2) -> None: ...
def named(a: int, *, b: int) -> None: ...
def named_optional(a: int = 1, *, b: int = 2) -> None: ...
def placed(a: int, b: int = 2, /, c: int = 3) -> None: ...
def placed_and_more(a: int, /, **others: int) -> None: ...
def any_number(a: int, *rest: int) -> None: ...
def any_name(a: int, **others: int) -> None: ...
def anything(*rest: int, **others: int) -> None: ...
def mixed(a: int, b: int = 2, *rest: int, c: int, d: int = 4, **others: int) -> None: ...


@functools.wraps(two)
def wrapped(*args: Any, **kwargs: Any) -> None: ...


FUNCTIONS = [
    nothing, two, optional, named, named_optional, placed, placed_and_more, any_number, any_name, anything, mixed,
    wrapped,
]  # fmt: skip
NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


@examples(300)
@given(
    function=st.sampled_from(FUNCTIONS),
    args=st.lists(st.just(1), max_size=4),
    kwargs=st.dictionaries(NAMES, st.just(1), max_size=4),
    takes_context=st.booleans(),
)
def test_it_says_what_python_would_say(
    function: Callable[..., Any], args: list[int], kwargs: dict[str, int], takes_context: bool
) -> None:
    signature = inspect.signature(function)
    if takes_context:
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError, match=re.escape(str(error))):
            check_arguments("name", function, takes_context, args, kwargs)
    else:
        check_arguments("name", function, takes_context, args, kwargs)


def test_what_has_no_signature_takes_anything() -> None:
    check_arguments("max", max, False, [1], {"b": 2})


# Wherever a call is made


WRONG = (
    r"add\(\) does not take these arguments: missing a required argument: 'b'\. It is add\(a: int, b: int\) -> int\."
)


@pytest.mark.parametrize(
    "call",
    [
        lambda: add.enqueue(1),
        lambda: enqueue(add, 1),
        lambda: enqueue("tests.tasks.add", 1),
        lambda: add.using(priority=3).enqueue(1),
        lambda: enqueue_on_commit(add, 1),
        lambda: add.enqueue_on_commit(1),
    ],
)
def test_a_call_that_does_not_fit_is_refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match=f"^{WRONG}$"):
        call()
    assert not Job.objects.exists()


def test_what_belongs_into_using_is_said() -> None:
    with pytest.raises(
        TypeError, match=r"unexpected keyword argument 'run_after'.* write add\.using\(run_after=\.\.\.\)"
    ):
        add.enqueue(1, 2, run_after=3)
    with pytest.raises(TypeError) as refused:
        add.enqueue(1, c=3)
    assert "using" not in str(refused.value)
    enqueue(echo, run_after=3)


def test_a_context_is_none_of_the_arguments() -> None:
    describe_context.enqueue(1, 2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'context'"):
        describe_context.enqueue(context=1)


def test_what_cannot_be_stored_is_said_first() -> None:
    with pytest.raises(UnserializableError, match=r"args\[0\] is a set"):
        add.enqueue({1})


def test_in_bulk_the_number_of_the_call_is_said(settings: Any) -> None:
    calls: list[Any] = [(add, (1, 2), {}), (noop, (), {}), (add, (1,), {}), ("tests.tasks.noop", (), {})]
    with pytest.raises(TypeError, match=rf"^Call 2 of enqueue_many\(\): {WRONG}$"):
        enqueue_many(calls)
    settings.TASKS = {**settings.TASKS, "third": settings.TASKS["default"]}
    elsewhere = [(noop.using(backend="third"), (), {})] * 5
    with pytest.raises(TypeError, match=rf"^Call 7 of enqueue_many\(\): {WRONG}$"):
        enqueue_many([*elsewhere, *calls])
    with pytest.raises(
        UnserializableError, match=r"^Call 1 of enqueue_many\(\): Unsupported type: args\[0\] is a set"
    ):
        enqueue_many([(add, (1, 2), {}), (add, ({1}, 2), {})])
    assert Job.objects.filter(backend="default").count() == 0


def test_it_can_be_switched_off(settings: Any) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"check_arguments": False}}}
    add.enqueue(1)
    enqueue_many([(add, (), {"c": 3})])
    assert Job.objects.count() == 2
    # Not for an operator, who is there to read it.
    with pytest.raises(CommandError, match=WRONG):
        call_command("tasks", "enqueue", add.module_path, "--args", "[1]")


def test_the_command_and_schedules_refuse_it_too() -> None:
    with pytest.raises(CommandError, match=WRONG):
        call_command("tasks", "enqueue", add.module_path, "--args", "[1]")
    with pytest.raises(InvalidSchedule, match="missing a required argument: 'b'"):
        schedules.create("nightly", every(minutes=1), add.module_path, args=[1])
    assert not Job.objects.exists()
