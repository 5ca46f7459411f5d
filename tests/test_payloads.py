import datetime
import decimal
import enum
import json
import math
import uuid
from collections import OrderedDict, UserDict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy

from django_tasks_q import enqueue, enqueue_many
from django_tasks_q.backend import TasksQBackend
from django_tasks_q.exceptions import PayloadTooLarge, UndecodableBytes, UnserializableError
from django_tasks_q.models import Job
from django_tasks_q.payloads import DEEPEST, dump_arguments, dump_return_value, dump_value

from .tasks import noop

MIB = 1 << 20


class Colour(str, enum.Enum):  # noqa: UP042 (the older spelling, whose str() is not its value)
    RED = "red"


class Size(enum.IntEnum):
    LARGE = 3


def nested(depth: int) -> Any:
    value: Any = "bottom"
    for _ in range(depth):
        value = [value]
    return value


class Shape(enum.Enum):
    ROUND = object()


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


REFUSED = {
    "nan": (math.nan, "nan, which JSON does not have"),
    "infinity": (math.inf, "inf, which JSON does not have"),
    "minus infinity": (-math.inf, "-inf, which JSON does not have"),
    "nought character": ("a\x00b", "contains the character U+0000 at position 1"),
    "lone surrogate": ("ab\ud83d", "contains the lone surrogate U+D83D at position 2"),
    "low surrogate": ("\udc80", "contains the lone surrogate U+DC80 at position 0"),
    "bytes": (b"\xff\xfe", "bytes that are not UTF-8"),
    "bytes with nought": (b"\x00", "U+0000"),
    "set": ({1, 2}, "is a set, which is not JSON. Pass sorted(value) or list(value)."),
    "frozenset": (frozenset({1}), "is a frozenset"),
    "model instance": (User(pk=1), "is a model instance (django.contrib.auth.models.User)"),
    "datetime": (datetime.datetime(2026, 1, 1), "is a datetime.datetime, which is not JSON. Pass value.isoformat()."),
    "decimal": (decimal.Decimal("1.5"), "is a decimal.Decimal, which is not JSON. Pass str(value)."),
    "uuid": (uuid.UUID(int=1), "is a uuid.UUID, which is not JSON. Pass str(value)."),
    "path": (Path("a"), "Path, which is not JSON. Pass str(value)."),
    "lazy text": (gettext_lazy("a"), "which is not JSON. Pass str(value)."),
    "timedelta": (datetime.timedelta(1), "is a datetime.timedelta, which is not JSON. Pass value.total_seconds()."),
    "enum": (Shape.ROUND, "Shape, which is not JSON. Pass value.value."),
    "queryset": (
        User.objects.all(),
        'QuerySet, which is not JSON. Pass the primary keys: list(value.values_list("pk"',
    ),
    "object": (object(), "is a object, which is not JSON"),
    "function": (len, "which is not JSON"),
    "range": (range(3), "is a range, which is not JSON"),
    "generator": ((item for item in [1]), "is a generator, which is not JSON. Pass list(value)"),
    "bytearray": (bytearray(b"x"), "is a bytearray, which is not JSON. Encode its bytes as text"),
    "too large an integer": (2**64, "is an integer of 65 bits"),
    "too small an integer": (-(2**63) - 1, "is an integer of 64 bits"),
    "integer keys": ({1: "one"}, "has the key 1 of type int"),
    "none as a key": ({None: 1}, "has the key None of type NoneType"),
    "tuple as a key": ({(1, 2): 1}, "has the key (1, 2) of type tuple"),
    "nought in a key": ({"a\x00": 1}, "U+0000"),
    "surrogate in a key": ({"\ud800": 1}, "lone surrogate U+D800"),
    "too deep": (nested(DEEPEST + 1), f"is nested more than {DEEPEST} levels deep"),
    "endless": (
        endless(),
        f"is nested more than {DEEPEST} levels deep, which MariaDB cannot store, or contains itself",
    ),
}

KEPT = {
    "nothing": None,
    "booleans": [True, False],
    "integers": [0, -1, 2**53 + 1, 2**63, 2**64 - 1, -(2**63)],
    "floats": [0.1, -0.5, 1e16, 5e-324, 1.7976931348623157e308, 123456789.12345679],
    "quotes": 'it\'s "quoted" `so` \\ and \\\\ and /',
    "placeholders": "100%, %s %% %(name)s {x} ? $1 :name",
    "control characters": "\x01\x08\t\n\r\x1b\x7f\x85\u2028\u2029",
    "many scripts": "é ß ж 中文 हिन्दी עברית 👩‍👩‍👧 𝄞 \ufeff \ufffd \uffff",
    "empty": ["", [], {}],
    "spaces": "  trailing  ",
    "keys": {"": 1, "$": 2, "a.b": 3, "a": 4, "A": 5, "ключ": 6, '"': 7, "id": 8},
    "order of keys": {"z": 1, "a": 2, "m": 3},
    "deep": nested(DEEPEST),
    "json in text": '{"a": [1, 2]}',
    "long": "x" * 100_000,
}


@pytest.mark.parametrize(("value", "also"), [(b"\xff", ValueError), ({1}, TypeError), ("x" * 2 * MIB, TypeError)])
def test_what_is_refused_is_what_the_framework_raises(value: Any, also: type[Exception]) -> None:
    for dump in (partial(dump_arguments, (value,), {}), partial(dump_return_value, value)):
        with pytest.raises(also) as caught:
            dump(MIB)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, UndecodableBytes) == (also is ValueError)


@pytest.mark.parametrize(("value", "message"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("name", ["args[1]", "kwargs['order']", "args[1]['in'][0]"])
def test_what_cannot_be_stored_is_refused_by_the_name_of_the_argument(value: Any, message: str, name: str) -> None:
    args: tuple[Any, ...] = (
        (0, value) if name == "args[1]" else (0, {"in": [value]}) if name.startswith("args") else ()
    )
    kwargs = {"order": value} if name.startswith("kwargs") else {}
    with pytest.raises(UnserializableError) as caught:
        dump_arguments(args, kwargs, MIB)
    deeper = value is REFUSED["too deep"][0] or value is REFUSED["endless"][0]
    said = str(caught.value).removeprefix("Unsupported type: ").removeprefix("Unsupported value: ")
    said = said.removeprefix("A key of ")
    assert said.startswith(name.split("[", 2)[0] if deeper else name)
    assert message in str(caught.value)


@pytest.mark.django_db
@pytest.mark.parametrize(("value", "message"), REFUSED.values(), ids=REFUSED)
def test_enqueue_refuses_it_on_every_database_and_stores_nothing(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=r"args\[0\]"):
        enqueue(noop, value)
    with pytest.raises(TypeError, match=r"kwargs\['key'\]"):
        enqueue_many([(noop, (1,), {}), (noop, (), {"key": value})])
    assert not Job.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_what_is_stored_comes_back_the_same(value: Any) -> None:
    result = enqueue(noop, value, key=value)
    fetched = TasksQBackend("default", {}).get_result(result.id)
    assert fetched.args == result.args == [value]
    assert fetched.kwargs == result.kwargs == {"key": value}
    # Equal is not enough: 1 == 1.0 == True, and dicts of another order are equal.
    assert json.dumps(fetched.args) == json.dumps([value])


@pytest.mark.django_db
@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_many_are_stored_as_one_is(value: Any) -> None:
    enqueue_many([(noop, (value,), {"key": value}) for _ in range(3)])
    assert [json.dumps([job.args, job.kwargs]) for job in Job.objects.all()] == [
        json.dumps([[value], {"key": value}])
    ] * 3


@pytest.mark.django_db
@pytest.mark.parametrize("value", KEPT.values(), ids=KEPT)
def test_metadata_is_kept_too(value: Any) -> None:
    enqueue(noop.using(metadata={"key": value} if value != KEPT["deep"] else {"key": value[0]}))
    assert json.dumps(Job.objects.get().metadata["key"]) == json.dumps(value if value != KEPT["deep"] else value[0])


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ((1, (2, 3)), "[1,[2,3]]"),
        (OrderedDict(a=1), '{"a":1}'),
        (UserDict(a=1), '{"a":1}'),
        (b"caf\xc3\xa9", '"café"'),
        (mark_safe("<b>"), '"<b>"'),
        (Colour.RED, '"red"'),
        ({Colour.RED: 1}, '{"red":1}'),
        (Size.LARGE, "3"),
        (True, "true"),
    ],
)
def test_what_is_json_in_disguise_is_stored_as_json(value: Any, stored: str) -> None:
    assert dump_value(value, "it", MIB) == stored


@pytest.mark.django_db
def test_a_result_shows_what_the_worker_will_get() -> None:
    result = enqueue(noop, (1, 2), Colour.RED, b"text", Size.LARGE)
    fetched = TasksQBackend("default", {}).get_result(result.id)
    assert result.args == fetched.args == [[1, 2], "red", "text", 3]


# Size


def test_arguments_may_be_as_large_as_the_limit_together() -> None:
    dump_arguments(("x" * (MIB - 6),), {}, MIB)
    with pytest.raises(PayloadTooLarge):
        dump_arguments(("x" * (MIB - 5),), {}, MIB)


def test_size_is_counted_in_bytes_not_characters() -> None:
    with pytest.raises(PayloadTooLarge, match=r"args\[0\] is the largest"):
        dump_arguments(("é" * (MIB // 2),), {}, MIB)


@pytest.mark.django_db
def test_twenty_megabytes_are_refused_and_the_argument_named() -> None:
    with pytest.raises(PayloadTooLarge) as caught:
        enqueue(noop, "small", text="x" * 20_000_000)
    assert "kwargs['text'] is the largest" in str(caught.value)
    assert "20,000,020 bytes of JSON; at most 1,048,576 can be stored" in str(caught.value)
    assert 'OPTIONS["max_payload"]' in str(caught.value)
    assert not Job.objects.exists()


def test_a_return_value_has_a_limit_too() -> None:
    assert dump_return_value([1, None, "é"], MIB) == '[1,null,"é"]'
    with pytest.raises(PayloadTooLarge, match="The return value: 2,000,002 bytes"):
        dump_return_value("x" * 2_000_000, MIB)
    with pytest.raises(UnserializableError, match="the return value is a set"):
        dump_return_value({1}, MIB)
