"""What may be stored: JSON that every supported database stores and returns unchanged."""

import json
import math
import os
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

from django.utils.functional import Promise

from .exceptions import PayloadTooLarge, UndecodableBytes, UnserializableError

__all__ = [
    "NOTHING",
    "NO_ARGS",
    "NO_KWARGS",
    "clean_bytes",
    "clean_text",
    "dump_arguments",
    "dump_return_value",
    "dump_value",
    "is_storable",
]

# MySQL stores JSON integers in 64 bits and converts larger ones to floating point.
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1
# MariaDB accepts no JSON deeper than 31 levels; the list of the arguments is one of them.
DEEPEST = 30
NAMED = "the keyword arguments"
# The return value of most tasks, as JSON.
NOTHING = "null"
# A call without arguments, as JSON.
NO_ARGS, NO_KWARGS = "[]", "{}"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def dump_arguments(args: Sequence[object], kwargs: Mapping[str, object], max_bytes: int) -> tuple[str, str]:
    """Return the arguments of a call as JSON.

    max_bytes: the maximum size of both together.

    Raise UnserializableError naming the argument that cannot be stored, PayloadTooLarge if they are too large.
    """
    if not args and not kwargs:
        return NO_ARGS, NO_KWARGS
    stored_args = _ENCODER.encode([_read(value, f"args[{index}]") for index, value in enumerate(args)])
    named = {_read(key, NAMED, _checked_key): _read(value, f"kwargs[{key!r}]") for key, value in kwargs.items()}
    stored_kwargs = _ENCODER.encode(_distinct(named, kwargs, NAMED))
    if len(stored_args) + len(stored_kwargs) > max_bytes // 4:
        _check_size(args, kwargs, stored_args, stored_kwargs, max_bytes)
    return stored_args, stored_kwargs


def dump_value(value: object, name: str, max_bytes: int) -> str:
    """Return one value as JSON. Raise UnserializableError or PayloadTooLarge, calling the value `name`."""
    stored = _ENCODER.encode(_read(value, name))
    if (size := len(stored.encode())) > max_bytes:
        raise PayloadTooLarge(_too_large(name, size, max_bytes))
    return stored


def dump_return_value(value: object, max_bytes: int) -> str:
    """Return a task's return value as JSON. Raise UnserializableError or PayloadTooLarge, marked as returned."""
    if value is None:
        return NOTHING
    try:
        return dump_value(value, "the return value", max_bytes)
    except UnserializableError as error:
        error.is_returned = True
        raise


def _check_size(
    args: Sequence[object], kwargs: Mapping[str, object], stored_args: str, stored_kwargs: str, max_bytes: int
) -> None:
    size = len(stored_args.encode()) + len(stored_kwargs.encode())
    if size <= max_bytes:
        return
    named = [(f"args[{index}]", value) for index, value in enumerate(args)]
    named += [(f"kwargs[{key!r}]", value) for key, value in kwargs.items()]
    sizes = {name: len(_ENCODER.encode(_read(value, name)).encode()) for name, value in named}
    largest = max(sizes, key=lambda name: sizes[name])
    raise PayloadTooLarge(_too_large(f"the arguments together ({largest} is the largest)", size, max_bytes))


def _too_large(name: str, size: int, max_bytes: int) -> str:
    return (
        f"{name[0].upper() + name[1:]}: {size:,} bytes of JSON; at most {max_bytes:,} can be stored. "
        'Keep the data elsewhere and pass its key, or raise OPTIONS["max_payload"].'
    )


def _read(value: object, name: str, check: Callable[[Any, str], Any] | None = None) -> Any:
    """Check a value. A caller's own object may raise errors of its own when inspected."""
    try:
        return (check or _checked)(value, name)
    except UnserializableError:
        raise
    except Exception as error:
        raise UnserializableError(
            f"{name} cannot be read: it raises {type(error).__name__} when it is looked at."
        ) from error


def _checked(value: Any, name: str, depth: int = 0) -> Any:
    """Return the value in JSON's types. Raise UnserializableError if that is impossible."""
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is str or isinstance(value, str):
        return _checked_text(value, name)
    if isinstance(value, int):
        return _checked_integer(value, name)
    if isinstance(value, float):
        return _checked_float(value, name)
    if isinstance(value, bytes):
        return _checked_bytes(value, name)
    if depth >= DEEPEST:
        raise UnserializableError(
            f"{name} is nested more than {DEEPEST} levels deep, which MariaDB cannot store, or contains itself."
        )
    if isinstance(value, Mapping):
        made = {_checked_key(key, name): _checked(item, f"{name}[{key!r}]", depth + 1) for key, item in value.items()}
        return _distinct(made, value, name)
    if isinstance(value, Sequence) and not isinstance(value, bytearray | memoryview | range):
        return [_checked(item, f"{name}[{index}]", depth + 1) for index, item in enumerate(value)]
    # Begins like the message of Django's own check, so that code that looks for it finds it here.
    raise UnserializableError(f"Unsupported type: {_unsupported(value, name)}")


def is_storable(text: str) -> bool:
    """Return whether every database can store a text: without U+0000 and lone surrogates."""
    return not _UNSTORABLE.search(text)


def clean_text(text: str) -> str:
    """Return a text that every database can store: what none of them can is replaced."""
    return clean_bytes(text).decode()


def clean_bytes(text: str) -> bytes:
    """Return what clean_text() does, as UTF-8."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace")


def _checked_text(value: str, name: str) -> str:
    if not value.isascii() or "\x00" in value:
        found = _UNSTORABLE.search(value)
        if found and found[0] == "\x00":
            raise UnserializableError(
                f"{name} contains the character U+0000 at position {found.start()}, which PostgreSQL cannot store. "
                "Remove it, or encode the text, for example with base64."
            )
        if found:
            raise UnserializableError(
                f"{name} contains the lone surrogate U+{ord(found[0]):04X} at position {found.start()}, "
                "which is not text in UTF-8. Decode the source with the right encoding or errors='replace'."
            )
    # Not str(value): an enum with text values returns something else.
    return str.__str__(value)


def _checked_integer(value: int, name: str) -> int:
    if not SMALLEST_INTEGER <= value <= LARGEST_INTEGER:
        raise UnserializableError(
            f"{name} is an integer of {value.bit_length()} bits; MySQL keeps 64. Pass it as text: str(value)."
        )
    return int(value)


def _checked_float(value: float, name: str) -> float:
    if not math.isfinite(value):
        raise UnserializableError(f"{name} is {value!r}, which JSON does not have. Pass None or text instead.")
    return float(value)


def _checked_bytes(value: bytes, name: str) -> str:
    try:
        return _checked_text(value.decode(), name)
    except UnicodeDecodeError as error:
        # Begins like the message of Django's own check.
        raise UndecodableBytes(
            f"Unsupported value: {name} is bytes that are not UTF-8 ({error.reason} at position {error.start}). "
            "Encode them as text, for example with base64."
        ) from None


def _checked_key(key: object, name: str) -> str:
    if not isinstance(key, str):
        raise UnserializableError(
            f"{name} has the key {key!r} of type {type(key).__name__}; JSON has only text keys, "
            "and it would come back as text. Use str(key)."
        )
    return _checked_text(key, f"A key of {name}")


def _distinct(made: dict[str, object], value: Mapping[Any, Any], name: str) -> dict[str, object]:
    if len(made) != len(value):
        raise UnserializableError(f"{name} has two keys that are the same text; JSON can hold only one of them.")
    return made


def _unsupported(value: object, name: str) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if hasattr(value, "_meta") and hasattr(value, "pk"):
        return f"{name} is a model instance ({kind}), which is not JSON. Pass its primary key and load it in the task."
    return f"{name} is a {kind}, which is not JSON. {_instead(value)}"


def _instead(value: object) -> str:
    """Return what to pass in place of a value."""
    if isinstance(value, uuid.UUID | Decimal | Fraction | os.PathLike | Promise):
        return "Pass str(value)."
    if isinstance(value, Enum):
        return "Pass value.value."
    if isinstance(value, timedelta):
        return "Pass value.total_seconds()."
    if isinstance(value, bytearray | memoryview):
        return "Encode its bytes as text, for example with base64."
    if isinstance(value, set | frozenset):
        return "Pass sorted(value) or list(value)."
    if hasattr(value, "isoformat"):
        return "Pass value.isoformat()."
    if hasattr(value, "values_list"):
        return 'Pass the primary keys: list(value.values_list("pk", flat=True)).'
    if isinstance(value, Iterable):
        return "Pass list(value), if what is in it is JSON."
    return "Pass text, numbers, booleans, None, lists or dicts of them."
