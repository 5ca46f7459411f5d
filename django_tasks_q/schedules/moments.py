"""Moments as schedules reckon with them, aware and in UTC, and as Django stores them."""

from datetime import UTC, datetime
from typing import overload

from django.conf import settings
from django.utils import timezone

__all__ = ["to_aware", "to_stored"]


def to_aware(moment: datetime) -> datetime:
    """Return a moment in UTC; a naive one is of the project's time zone."""
    return (timezone.make_aware(moment) if timezone.is_naive(moment) else moment).astimezone(UTC)


@overload
def to_stored(moment: datetime) -> datetime: ...
@overload
def to_stored(moment: None) -> None: ...
def to_stored(moment: datetime | None) -> datetime | None:
    """Return a moment as Django's fields take it: aware, or naive where USE_TZ is off."""
    if moment is None:
        return None
    return to_aware(moment) if settings.USE_TZ else timezone.make_naive(to_aware(moment))
