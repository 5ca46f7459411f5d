"""Sun events at a location, by the astral package, which is an extra."""

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..exceptions import InvalidSchedule

__all__ = ["EVENTS", "SunEvent", "following_event", "read_event"]

# Each with its name, which is translated when it is shown: there may be no settings yet.
EVENTS = {
    "dawn": gettext_lazy("dawn"),
    "sunrise": gettext_lazy("sunrise"),
    "noon": gettext_lazy("noon"),
    "sunset": gettext_lazy("sunset"),
    "dusk": gettext_lazy("dusk"),
}
# Near the poles there are months without sunrise.
LONGEST_SEARCH = 366


class SunEvent(NamedTuple):
    """An event and where: degrees north of the equator, and east of Greenwich."""

    name: str
    latitude: float
    longitude: float


def read_event(expression: str) -> SunEvent:
    """Return the event in "sunset 41.9 12.5". Raise InvalidSchedule, also if astral is not installed."""
    try:
        name, latitude, longitude = expression.split()
        event = SunEvent(name, float(latitude), float(longitude))
    except ValueError:
        event = SunEvent("", 0, 0)
    if event.name not in EVENTS or not (-90 <= event.latitude <= 90 and -180 <= event.longitude <= 180):
        message = _("“%(given)s” is not %(events)s with a latitude and a longitude, such as “sunset 41.9 12.5”.")
        raise InvalidSchedule(message % {"given": expression, "events": ", ".join(EVENTS)}, "expression")
    _astral()
    return event


def following_event(event: SunEvent, after: datetime) -> datetime | None:
    """Return when it first happens after a time; None if it does not within a year."""
    sun, observer = _astral()
    place = observer(event.latitude, event.longitude)
    # In UTC the event of a day may fall on the day before or after.
    first = after.date() - timedelta(days=1)
    for days in range(LONGEST_SEARCH):
        try:
            moment: datetime = getattr(sun, event.name)(place, first + timedelta(days=days), tzinfo=UTC)
        except ValueError:
            continue
        moment = moment.replace(microsecond=0)
        if moment > after:
            return moment
    return None


def _astral() -> tuple[Any, Any]:
    try:
        return import_module("astral.sun"), import_module("astral").Observer
    except ImportError:
        message = _("Schedules by the sun need astral: pip install django-tasks-q[solar].")
        raise InvalidSchedule(message, "kind") from None
