"""Which calls a function takes, asked before they are stored: a worker would only find out much later."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

__all__ = ["check_arguments"]

# What belongs into using(), and is easily written between the arguments.
SETTINGS = ("priority", "queue_name", "run_after", "backend", "max_attempts", "timeout")
KNOWN = 4_096


def check_arguments(
    name: str, function: Callable[..., Any], takes_context: bool, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Raise TypeError where a task does not take these arguments.

    name: of the task. takes_context: whether its first parameter is the context, which is not among the arguments. A
    decorator's signature is that of the function below it, where functools.wraps says so.
    """
    accepted = _accepted(function, takes_context)
    if accepted is not None and not accepted.fit(args, kwargs):
        accepted.refuse(name, args, kwargs)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """What a function takes, in the form that is quickest to compare with a call.

    fewest, most: how many arguments there may be by position, where none is given by name. order: the names of those
    by position. names: what may be given by name, None for everything. required: what has no default.
    """

    signature: inspect.Signature
    fewest: float
    most: float
    order: tuple[str, ...]
    names: frozenset[str] | None
    required: frozenset[str]
    is_plain: bool

    def fit(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Return whether the arguments surely fit; if not, refuse() decides."""
        if not kwargs:
            return self.fewest <= len(args) <= self.most
        given = kwargs.keys()
        placed = self.order[: len(args)]
        return (
            self.is_plain
            and len(args) <= self.most
            and given.isdisjoint(placed)
            and (self.names is None or given <= self.names)
            and self.required <= {*given, *placed}
        )

    def refuse(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError in Python's words, where they do not fit."""
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            shown = f"{name}{self.signature}"
            hint = "".join(
                f" To set {setting}, write {name}.using({setting}=...).enqueue(...)."
                for setting in SETTINGS
                if setting in kwargs and setting not in self.signature.parameters
            )
            raise TypeError(f"{name}() does not take these arguments: {error}. It is {shown:.300}.{hint}") from None


@lru_cache(maxsize=KNOWN)
def _accepted(function: Callable[..., Any], takes_context: bool) -> _Accepted | None:
    """Return what a function takes, None where that cannot be asked, as of some functions of C."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return None
    parameters = list(signature.parameters.values())[1 if takes_context else 0 :]
    by_position = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    by_name = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    kinds = {each.kind for each in parameters}
    required = [each for each in by_position + by_name if each.default is each.empty]
    only_named = any(each.kind == each.KEYWORD_ONLY for each in required)
    return _Accepted(
        signature=signature.replace(parameters=parameters),
        fewest=math.inf if only_named else sum(each.default is each.empty for each in by_position),
        most=math.inf if inspect.Parameter.VAR_POSITIONAL in kinds else len(by_position),
        order=tuple(each.name for each in by_position),
        names=None if inspect.Parameter.VAR_KEYWORD in kinds else frozenset(each.name for each in by_name),
        required=frozenset(each.name for each in required),
        is_plain=inspect.Parameter.POSITIONAL_ONLY not in kinds,
    )
