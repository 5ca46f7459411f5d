"""Any value that Python has: it is stored and comes back, or it is refused by its name and nothing is stored."""

import datetime
import decimal
import json
import re
import uuid
from typing import Any

import pytest
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from django_tasks_q import enqueue, enqueue_many
from django_tasks_q.backend import TasksQBackend
from django_tasks_q.exceptions import UnserializableError
from django_tasks_q.models import Job
from django_tasks_q.payloads import dump_return_value
from tests.hypotheses import JSON, NAMES, TEXT, examples
from tests.tasks import noop

pytestmark = pytest.mark.django_db
MIB = 1 << 20


class Sly:
    """One that raises whenever it is looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")


class SlyText(str):
    __slots__ = ()

    def encode(self, *args: Any) -> bytes:
        raise RuntimeError("encode")

    def isascii(self) -> bool:
        raise RuntimeError("isascii")


class Own(str):
    """Text that is equal to itself alone."""

    __slots__ = ()
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.binary(max_size=10) | st.complex_numbers()
    | st.datetimes() | st.decimals() | st.uuids() | st.builds(object) | st.builds(Sly) | st.builds(SlyText, TEXT)
    | st.sampled_from([len, Sly, ..., datetime.UTC, decimal.Decimal, uuid])
)  # fmt: skip
KEYS = TEXT | st.integers() | st.none() | st.builds(Own, st.sampled_from("ab")) | st.builds(SlyText, TEXT)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(st.integers())
        | st.lists(inner, max_size=3).map(iter)
    ),
    max_leaves=8,
)


@examples(60)
@given(args=st.lists(JSON, max_size=3), kwargs=st.dictionaries(NAMES, JSON, max_size=3))
def test_json_comes_back_as_it_was(args: list[Any], kwargs: dict[str, Any]) -> None:
    with transaction.atomic():
        (result,) = enqueue_many([(noop, args, kwargs)])
        fetched = TasksQBackend("default", {}).get_result(result.id)
        transaction.set_rollback(True)
    assert json.dumps([fetched.args, fetched.kwargs]) == json.dumps([args, kwargs])


@examples(80)
@given(args=st.lists(ANYTHING, max_size=2), kwargs=st.dictionaries(KEYS, ANYTHING, max_size=2), many=st.booleans())
def test_anything_is_stored_or_refused_by_its_name(args: list[Any], kwargs: dict[Any, Any], many: bool) -> None:
    with transaction.atomic():
        try:
            if many or not all(type(key) is str for key in kwargs):
                (result,) = enqueue_many([(noop, args, kwargs)])
            else:
                result = enqueue(noop, *args, **{name: value for name, value in kwargs.items() if name != "task"})
        except UnserializableError as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            assert re.search(r"args\[\d|kwargs\[|keyword argument", refusal)
            assert not Job.objects.exists()
            return
        fetched = TasksQBackend("default", {}).get_result(result.id)
        assert json.dumps([fetched.args, fetched.kwargs]) == json.dumps([result.args, result.kwargs])
        assert len(fetched.args) == len(args)
        assert len(fetched.kwargs) == len(kwargs) or "task" in kwargs
        transaction.set_rollback(True)


@examples(60)
@given(value=ANYTHING)
def test_a_return_value_is_json_or_refused(value: Any) -> None:
    try:
        stored = dump_return_value(value, MIB)
    except UnserializableError:
        return
    json.loads(stored)
    stored.encode()
