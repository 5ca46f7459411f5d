"""What to write in place of arguments that cron() and every() do not take, such as those of Celery's crontab()."""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["explained", "instead_of_crontab"]

P = ParamSpec("P")
R = TypeVar("R")
CRONTAB = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


def explained(advise: Callable[[Mapping[str, object]], str]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add advice to the TypeError of a call with other arguments. advise: given those by name, returns a sentence."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}(): {error}. {advise(kwargs)}") from None
            return function(*args, **kwargs)

        return call

    return decorate


def instead_of_crontab(given: Mapping[str, object]) -> str:
    """Return the expression for the arguments of a crontab()."""
    if given.keys() & set(CRONTAB) and given.keys() <= {*CRONTAB, "tz"}:
        fields = " ".join(str(given.get(name, "*")) for name in CRONTAB)
        return f'Give one expression of five fields: cron("{fields}").'
    return 'Give one expression of five fields, such as cron("0 3 * * *") for every day at 03:00.'
