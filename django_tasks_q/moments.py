"""Datetimes as we calculate with them, aware and in UTC, and as Django stores them.

If USE_TZ is off, local time is stored: it skips an hour in spring and repeats one in autumn. So we avoid adding to it,
subtracting from it, and comparing two such values.
"""

from datetime import UTC, datetime, timedelta
from typing import overload

from django.conf import settings
from django.utils import timezone

__all__ = ["seconds_left", "seconds_since", "shown", "to_aware", "to_stored", "utc_after"]

# How many seconds a datetime may be ahead of a clock other than the one it was taken from.
CLOCKS_APART = 60.0


def to_aware(moment: datetime) -> datetime:
    """Return a datetime in UTC; a naive one is in the project's time zone."""
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).astimezone(UTC)


@overload
def to_stored(moment: datetime) -> datetime: ...
@overload
def to_stored(moment: None) -> None: ...
def to_stored(moment: datetime | None) -> datetime | None:
    """Return a datetime as Django's fields expect it: aware, or naive if USE_TZ is off."""
    if moment is None:
        return None
    return to_aware(moment) if settings.USE_TZ else timezone.make_naive(to_aware(moment))


def utc_after(seconds: float) -> datetime:
    """Return the datetime this many seconds after the beginning of 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def shown(seconds: float) -> datetime:
    """Return utc_after() as tasks, receivers and pages see it: naive local time if USE_TZ is off."""
    return datetime.fromtimestamp(seconds, UTC if settings.USE_TZ else None)


def seconds_since(moment: datetime, now: datetime) -> float:
    """Return the seconds from a stored datetime in the past to an aware one.

    A naive datetime that is ambiguous means the later of the two, unless that is in the future.
    """
    elapsed = [(now - reading).total_seconds() for reading in _readings(moment)]
    return min([seconds for seconds in elapsed if seconds > -CLOCKS_APART], default=max(elapsed))


def seconds_left(moment: datetime, shown: datetime, now: datetime) -> float:
    """Return the seconds until local time, which is `shown` at the aware datetime `now`, reaches a datetime.

    0 or less if it has already been reached.
    """
    wait: timedelta = moment - shown
    left = [(reading - now).total_seconds() for reading in _readings(moment)]
    if wait <= timedelta():
        return wait.total_seconds()
    return min([seconds for seconds in left if seconds > 0], default=wait.total_seconds())


def _readings(moment: datetime) -> set[datetime]:
    """Return the one or two datetimes, in UTC, that a stored one may mean."""
    if timezone.is_aware(moment):
        return {to_aware(moment)}
    return {to_aware(moment.replace(fold=fold)) for fold in (0, 1)}
