from datetime import datetime

from django.conf import settings

__all__ = ["frozen"]


def frozen(moment: datetime) -> datetime:
    """Return what a frozen clock shows: freezegun and time-machine take local time for UTC if USE_TZ is off."""
    return moment if settings.USE_TZ else moment.replace(tzinfo=None)
