"""How values are displayed. Everything that a task or a user wrote is text: it is escaped, never trusted."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from ..monitoring.counts import Count, Precision
from ..monitoring.queues import QueueStats

# Text that is shown, perhaps translated only then.
if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise as Text
else:
    Text = str | Promise

__all__ = [
    "NOTHING",
    "Text",
    "badge",
    "below",
    "block",
    "code",
    "counted",
    "duration",
    "json_block",
    "link",
    "moment",
    "names",
    "number",
    "percent",
    "queue_badge",
    "shortened",
    "size",
    "storable",
]

NOTHING = "—"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
LONGEST_LINE = 100


def storable(text: str) -> str:
    """Return a text that can be sent: lone surrogates, which JSON may contain, cannot."""
    return text.encode("utf-8", "replace").decode()


def duration(seconds: float | None) -> str:
    """Return a duration with two or three significant digits: 350 ms, 1.24 s, 2 min 5 s, 3 h 4 min, 2 d 3 h."""
    if seconds is None:
        return NOTHING
    if seconds < 0.001:
        return _("<1 ms")
    if seconds < 0.9995:
        return _("%d ms") % round(seconds * 1_000)
    if seconds < 59.995:
        return _("%s s") % number_format(f"{seconds:.3g}")
    return _long_duration(round(seconds))


def _long_duration(seconds: int) -> str:
    if seconds < HOUR:
        return _("%(minutes)d min %(seconds)d s") % {"minutes": seconds // MINUTE, "seconds": seconds % MINUTE}
    if seconds < DAY:
        return _("%(hours)d h %(minutes)d min") % {"hours": seconds // HOUR, "minutes": seconds % HOUR // MINUTE}
    return _("%(days)d d %(hours)d h") % {"days": seconds // DAY, "hours": seconds % DAY // HOUR}


def number(value: float) -> str:
    """Return a number in the language's format: 1,204."""
    return number_format(value if isinstance(value, int) else f"{value:.6g}", force_grouping=True)


def percent(share: float) -> str:
    """Return a share in the language's format: 1.5%."""
    return _("%s%%") % number_format(f"{100 * share:.1f}")


def counted(number: Count) -> str:
    """Return a number of rows as exactly as it is known: 1,204, ~1,204,000 or 10,000+, in the language's format."""
    before = "~" if number.precision == Precision.ABOUT else ""
    after = "+" if number.precision == Precision.AT_LEAST else ""
    return f"{before}{number_format(int(number), force_grouping=True)}{after}"


def moment(value: datetime | None) -> str:
    """Return how long ago a time was, or how far ahead it is; the exact time is in the title."""
    if value is None:
        return NOTHING
    local = timezone.localtime(value) if timezone.is_aware(value) else value
    exact = f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1_000:03d} {local:%Z}".rstrip()
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), exact, _distance(value))


def _distance(value: datetime) -> str:
    seconds = (datetime.now(value.tzinfo) - value).total_seconds()
    if abs(seconds) < 1:
        return _("now")
    return (_("%s ago") if seconds > 0 else _("in %s")) % _coarse(abs(seconds))


def _coarse(seconds: float) -> str:
    """Return a duration in one unit."""
    if seconds < MINUTE:
        return _("%d s") % seconds
    if seconds < HOUR:
        return _("%d min") % (seconds // MINUTE)
    if seconds < 2 * DAY:
        return _("%d h") % (seconds // HOUR)
    return _("%d d") % (seconds // DAY)


def size(number: int | None) -> str:
    """Return a number of bytes in megabytes or another suitable unit."""
    return filesizeformat(number) if number else NOTHING


def badge(name: str, label: object) -> SafeString:
    """Return a status as a coloured label; the name chooses the colour."""
    return format_html('<span class="tasksq-badge tasksq-{}">{}</span>', name.lower(), label)


def queue_badge(stats: QueueStats) -> SafeString:
    """Return a badge for what is true of a queue first of all."""
    if stats.paused:
        return badge("paused", _("Paused"))
    if stats.ready and not stats.workers:
        return badge("unheard", _("No worker"))
    return badge("running", _("Running")) if stats.running else badge("ready", _("Open"))


def below(value: object, text: object) -> SafeString:
    """Return a value with a note in smaller text on a second line."""
    return format_html('{}<span class="tasksq-below quiet">{}</span>', value, text)


def code(text: str) -> SafeString:
    return format_html("<code>{}</code>", storable(text))


def block(text: str) -> SafeString:
    """Return a multi-line text unchanged."""
    return format_html('<pre class="tasksq-block">{}</pre>', storable(text))


def json_block(value: object) -> SafeString:
    """Return a value as JSON: on one line if it fits, else indented."""
    short = json.dumps(value, ensure_ascii=False, default=str)
    return block(short if len(short) <= LONGEST_LINE else json.dumps(value, ensure_ascii=False, default=str, indent=2))


def shortened(text: str, longest: int = LONGEST_LINE) -> str:
    """Return the beginning of a text; the full text is in the title."""
    text = storable(text)
    if len(text) <= longest:
        return text
    return format_html('<span title="{}">{}</span>', text, Truncator(text).chars(longest))


def link(url: str | None, text: object) -> str:
    """Return a link, or only its text if there is no page."""
    return format_html('<a href="{}">{}</a>', url, text) if url else str(text)


def names(values: object) -> str:
    """Return a list of names from a row, for display."""
    found = values if isinstance(values, list | tuple) else [values]
    return ", ".join(storable(str(value)) for value in found)
