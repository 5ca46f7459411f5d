"""The clock of a test: django.utils.timezone.now(), also if freezegun or time-machine has changed it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.utils import timezone

from ..moments import to_aware

if TYPE_CHECKING:
    from ..brokers.base import Broker

__all__ = ["Clock", "on_test_clock", "seconds_ahead", "travel"]


class Clock:
    """A clock that can be set, and goes on from there.

    It is a context manager too: at the end of the block, the clock from before is back.
    """

    def __init__(self, real: Callable[[], datetime]) -> None:
        self._real = real
        self._ahead = timedelta()

    def now(self) -> datetime:
        """Return what it shows: aware, or naive if USE_TZ is off."""
        return self._real() + self._ahead

    def shift(self, by: timedelta) -> None:
        """Set it forward, or back."""
        self._ahead += by

    def move_to(self, moment: datetime) -> None:
        """Set it to a moment; a naive one is in the current time zone."""
        if settings.USE_TZ and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        elif not settings.USE_TZ and timezone.is_aware(moment):
            moment = timezone.make_naive(moment)
        self._ahead = moment - self._real()

    def __enter__(self) -> "Clock":
        return self

    def __exit__(self, *error: object) -> None:
        _install(self._real)


@contextmanager
def travel(to: timedelta | datetime) -> Iterator[Clock]:
    """Set the clock of the test until the block ends; it goes on meanwhile.

    to: how far from now, or a moment. The block gets the Clock, to set it again. Only django.utils.timezone.now() is
    moved, and with it what is due here; freezegun and time-machine move or freeze the other clocks too.

    Raise TypeError if `to` is something else.
    """
    if not isinstance(to, timedelta | datetime):
        raise TypeError(f"travel() takes a timedelta, such as timedelta(minutes=5), or a datetime, not {to!r:.200}.")
    before = timezone.now
    clock = Clock(before)
    if isinstance(to, datetime):
        clock.move_to(to)
    else:
        clock.shift(to)
    _install(clock.now)
    try:
        yield clock
    finally:
        _install(before)


def _install(now: Callable[[], datetime]) -> None:
    setattr(timezone, "now", now)  # noqa: B010 - mypy knows no assignment to a function


def seconds_ahead() -> float:
    """Return by how many seconds the test's clock is ahead of this host's."""
    return to_aware(timezone.now()).timestamp() - time.time()


class _TestClock:
    """What a dialect asks its database for the time, answered by the test's clock."""

    @property
    def now_sql(self) -> str:
        return str(cast("Any", self).moment_sql(timezone.now()))

    @property
    def now_once(self) -> str:
        return self.now_sql

    @property
    def epoch_sql(self) -> str:
        return repr(to_aware(timezone.now()).timestamp())


def on_test_clock(broker: "Broker") -> "Broker":
    """Return a broker that does the same, but by the clock of the test."""
    made = type(broker)(broker.alias, broker.using, broker.options)
    kind = type(made.dialect)
    made.dialect = type(kind.__name__, (_TestClock, kind), {})(broker.using, broker.options)
    return made
