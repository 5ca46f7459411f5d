"""When a schedule fires, in words."""

from collections.abc import Callable

from django.utils import formats
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from .expressions import FIELDS, read_zone, split
from .sun import EVENTS, read_event
from .timings import Cron, Every, Once, Timing

__all__ = ["describe"]

# Puts a number into words.
Word = Callable[[int], str]

UNITS: tuple[tuple[int, Word], ...] = (
    (604_800, lambda n: ngettext("every week", "every %(n)s weeks", n)),
    (86_400, lambda n: ngettext("every day", "every %(n)s days", n)),
    (3_600, lambda n: ngettext("every hour", "every %(n)s hours", n)),
    (60, lambda n: ngettext("every minute", "every %(n)s minutes", n)),
    (1, lambda n: ngettext("every second", "every %(n)s seconds", n)),
)
ORDINALS = (
    gettext_lazy("first"), gettext_lazy("second"), gettext_lazy("third"), gettext_lazy("fourth"),
    gettext_lazy("fifth"),
)  # fmt: skip


def describe(timing: Timing) -> str:
    """Return what a timing means, in the language that is active: at 03:00, on Monday, in Europe/Rome."""
    if isinstance(timing, Every):
        return _interval(timing.seconds)
    if isinstance(timing, Cron):
        return _cron(timing)
    if isinstance(timing, Once):
        moment = timing.moment.astimezone(read_zone(timing.timezone))
        return _("once, on %(moment)s, %(zone)s") % {
            "moment": formats.date_format(moment, "DATETIME_FORMAT"), "zone": timing.timezone
        }  # fmt: skip
    event = read_event(timing.expression)
    return _("at %(event)s, at %(latitude)g, %(longitude)g") % {
        "event": EVENTS[event.name], "latitude": event.latitude, "longitude": event.longitude
    }  # fmt: skip


def _interval(seconds: float) -> str:
    for size, words in UNITS:
        if seconds % size == 0:
            number = int(seconds // size)
            return words(number) % {"n": number}
    return _("every %(n)s seconds") % {"n": f"{seconds:g}"}


def _cron(timing: Cron) -> str:
    minute, hour, date, month, weekday = split(timing.expression)
    parts = [_time(minute, hour)]
    days = [text for text in (_dates(date), _weekdays(weekday)) if text]
    if days:
        joint = _("%(one)s, if it is %(other)s") if timing.parsed.needs_both_days else _("%(one)s and %(other)s")
        parts.append(days[0] if len(days) == 1 else joint % {"one": days[0], "other": days[1]})
    if month != "*":
        parts.append(_("in %(months)s") % {"months": _terms(month, 3, lambda number: str(MONTHS[number]))})
    return f"{', '.join(parts)}, {timing.timezone}"


def _time(minute: str, hour: str) -> str:
    if minute.isdigit() and hour != "*" and all(term.isdigit() for term in hour.split(",")):
        times = [f"{int(term):02}:{int(minute):02}" for term in hour.split(",")]
        return _("at %(times)s") % {"times": get_text_list(times, _("and"))}
    minutes = _("every minute") if minute == "*" else _minutes(minute)
    if hour == "*":
        return minutes if not minute.isdigit() else _("every hour at minute %(minute)s") % {"minute": int(minute)}
    return _("%(minutes)s of %(hours)s") % {"minutes": minutes, "hours": _hours(hour)}


def _minutes(text: str) -> str:
    if text.startswith("*/"):
        return _("every %(n)s minutes") % {"n": text[2:]}
    return _("at minute %(minutes)s") % {"minutes": _terms(text, 0, str)}


def _hours(text: str) -> str:
    if text.startswith("*/"):
        return _("every %(n)s hours") % {"n": text[2:]}
    return _("hour %(hours)s") % {"hours": _terms(text, 1, str)}


def _dates(text: str) -> str:
    if text == "*":
        return ""
    if text.startswith("*/"):
        return _("every %(n)s days of the month") % {"n": text[2:]}
    special = _("the last day of the month")
    return _("on %(days)s") % {"days": _terms(text, 2, lambda day: _("day %(day)s") % {"day": day}, {"l": special})}


def _weekdays(text: str) -> str:
    if text == "*":
        return ""
    return _("on %(days)s") % {"days": _terms(text, 4, _weekday)}


def _weekday(number: int) -> str:
    # Cron begins with Sunday, Django with Monday.
    return str(WEEKDAYS[(number - 1) % 7])


def _terms(text: str, index: int, word: Word, special: dict[str, str] | None = None) -> str:
    return get_text_list([_term(term, index, word, special or {}) for term in text.split(",")], _("and"))


def _term(term: str, index: int, word: Word, special: dict[str, str]) -> str:
    field = FIELDS[index]
    if term in special:
        return special[term]
    if "#" in term:
        day, _sharp, number = term.partition("#")
        return _("the %(ordinal)s %(day)s") % {"ordinal": ORDINALS[int(number) - 1], "day": word(field.value(day))}
    if "l" in term and (term.startswith("l") or term.endswith("l")) and term.strip("l").isdigit():
        return _("the last %(day)s") % {"day": word(int(term.strip("l")))}
    span, _slash, step = term.partition("/")
    first, dash, last = span.partition("-")
    if span == "*":
        return _("every %(n)s of them") % {"n": step} if step else _("all of them")
    words = word(field.value(first))
    if dash:
        words = _("%(first)s to %(last)s") % {"first": words, "last": word(field.value(last))}
    return _("%(words)s, each %(n)s") % {"words": words, "n": step} if step else words
