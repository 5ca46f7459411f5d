"""What may be stored: JSON that every supported database keeps and gives back unchanged."""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .exceptions import PayloadTooLarge, UnserializableError

__all__ = ["NOTHING", "dump_arguments", "dump_return_value", "dump_value", "is_storable"]

# MySQL keeps JSON integers in 64 bits and turns larger ones into floating point.
SMALLEST_INTEGER, LARGEST_INTEGER = -(2**63), 2**64 - 1
# MariaDB takes nothing for JSON that is deeper than 31 levels; the list of the arguments is one of them.
DEEPEST = 30
NAMED = "the keyword arguments"
# What most tasks return, as JSON.
NOTHING = "null"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def dump_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], max_bytes: int) -> tuple[str, str]:
    """Return the arguments of a call as JSON.

    max_bytes: how large the two may be together.

    Raise UnserializableError naming the argument that cannot be stored, PayloadTooLarge where they are too large.
    """
    if not args and not kwargs:
        return "[]", "{}"
    stored_args = _ENCODER.encode([_read(value, f"args[{index}]") for index, value in enumerate(args)])
    named = {_read(key, NAMED, _checked_key): _read(value, f"kwargs[{key!r}]") for key, value in kwargs.items()}
    stored_kwargs = _ENCODER.encode(_distinct(named, kwargs, NAMED))
    if len(stored_args) + len(stored_kwargs) > max_bytes // 4:
        _check_size(args, kwargs, stored_args, stored_kwargs, max_bytes)
    return stored_args, stored_kwargs


def dump_value(value: Any, name: str, max_bytes: int) -> str:
    """Return one value as JSON. Raise UnserializableError or PayloadTooLarge, calling the value `name`."""
    stored = _ENCODER.encode(_read(value, name))
    if (size := len(stored.encode())) > max_bytes:
        raise PayloadTooLarge(_too_large(name, size, max_bytes))
    return stored


def dump_return_value(value: Any, max_bytes: int) -> str:
    """Return what a task returned as JSON. Raise UnserializableError or PayloadTooLarge."""
    return NOTHING if value is None else dump_value(value, "the return value", max_bytes)


def _check_size(
    args: Sequence[Any], kwargs: Mapping[str, Any], stored_args: str, stored_kwargs: str, max_bytes: int
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


def _read(value: Any, name: str, check: Callable[[Any, str], Any] | None = None) -> Any:
    """Check a value. An object of the caller's own may also fail in its own way when it is looked at."""
    try:
        return (check or _checked)(value, name)
    except UnserializableError:
        raise
    except Exception as error:
        raise UnserializableError(
            f"{name} cannot be read: it raises {type(error).__name__} when it is looked at."
        ) from error


def _checked(value: Any, name: str, depth: int = 0) -> Any:
    """Return the value in JSON's own types. Raise UnserializableError where it has none."""
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
    # As Django's own check of arguments begins, so that what looks for that finds it here.
    raise UnserializableError(f"Unsupported type: {_unsupported(value, name)}")


def is_storable(text: str) -> bool:
    """Say whether every database can hold a text: without U+0000 and lone surrogates."""
    return not _UNSTORABLE.search(text)


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
    # Not str(value): an enum with text for its values has another answer.
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
        raise UnserializableError(
            f"{name} is bytes that are not UTF-8 ({error.reason} at position {error.start}). "
            "Encode them as text, for example with base64."
        ) from None


def _checked_key(key: Any, name: str) -> str:
    if not isinstance(key, str):
        raise UnserializableError(
            f"{name} has the key {key!r} of type {type(key).__name__}; JSON has only text keys, "
            "and it would come back as text. Use str(key)."
        )
    return _checked_text(key, f"A key of {name}")


def _distinct(made: dict[str, Any], value: Mapping[Any, Any], name: str) -> dict[str, Any]:
    if len(made) != len(value):
        raise UnserializableError(f"{name} has two keys that are the same text; JSON can hold only one of them.")
    return made


def _unsupported(value: Any, name: str) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    if hasattr(value, "_meta") and hasattr(value, "pk"):
        return f"{name} is a model instance ({kind}), which is not JSON. Pass its primary key and load it in the task."
    if isinstance(value, set | frozenset):
        return f"{name} is a {kind}, which is not JSON. Pass sorted(value) or list(value)."
    if hasattr(value, "isoformat"):
        return f"{name} is a {kind}, which is not JSON. Pass value.isoformat()."
    return f"{name} is a {kind}, which is not JSON. Pass text, numbers, booleans, None, lists or dicts of them."
