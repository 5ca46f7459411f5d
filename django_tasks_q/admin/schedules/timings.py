"""The fields for each kind of schedule, and the expression that they form."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ...exceptions import InvalidSchedule
from ...lifecycle import ScheduleKind
from ...models import Schedule
from ...schedules.expressions import read_zone
from ...schedules.sun import EVENTS
from ...schedules.timings import Every, Once, load_timing

__all__ = ["FIELDS", "MomentInput", "TimingFields", "main_field", "to_expression", "to_initial"]

UNITS = (
    (1, _("seconds")),
    (60, _("minutes")),
    (3_600, _("hours")),
    (86_400, _("days")),
    (604_800, _("weeks")),
)
EVENT_LABELS = {
    "dawn": _("Dawn"),
    "sunrise": _("Sunrise"),
    "noon": _("Noon"),
    "sunset": _("Sunset"),
    "dusk": _("Dusk"),
}
# The first of them is where an error of the expression is shown.
FIELDS = {
    ScheduleKind.CRON: ("cron",),
    ScheduleKind.INTERVAL: ("every", "unit"),
    ScheduleKind.CLOCKED: ("moment",),
    ScheduleKind.SOLAR: ("event", "latitude", "longitude"),
}


class MomentInput(forms.DateTimeInput):
    """The browser's own field for a date and a time, without a time zone."""

    input_type = "datetime-local"

    def __init__(self, attrs: dict[str, object] | None = None) -> None:
        super().__init__({"step": "1", **(attrs or {})}, format="%Y-%m-%dT%H:%M:%S")


class TimingFields(forms.Form):
    """The fields of a form that are not columns of the row: only those of the chosen kind count."""

    cron = forms.CharField(
        label=_("cron expression"),
        required=False,
        help_text=_(
            "Minute, hour, day of the month, month, day of the week: “0 3 * * mon-fri”, “*/15 * * * *”, “0 9 l * *”; "
            "or @hourly, @daily, @weekly, @monthly, @yearly."
        ),
        widget=forms.TextInput(
            attrs={"class": "vTextField tasksq-code", "spellcheck": "false", "autocapitalize": "off"}
        ),
    )
    every = forms.DecimalField(
        label=_("every"),
        required=False,
        max_digits=14,
        decimal_places=3,
        widget=forms.NumberInput(attrs={"step": "any", "min": "0"}),
    )
    unit = forms.TypedChoiceField(
        label=_("unit"),
        required=False,
        choices=UNITS,
        coerce=int,
        help_text=_("Counted from the start of the schedule if it has one, otherwise from 1970 in UTC."),
    )
    moment = forms.CharField(
        label=_("moment"),
        required=False,
        help_text=_("In the schedule's own time zone."),
        widget=MomentInput(),
    )
    event = forms.ChoiceField(
        label=_("event"), required=False, choices=[(name, EVENT_LABELS[name]) for name in EVENTS]
    )
    latitude = forms.FloatField(label=_("latitude"), required=False, help_text=_("Degrees north; negative for south."))
    longitude = forms.FloatField(label=_("longitude"), required=False, help_text=_("Degrees east; negative for west."))


def main_field(kind: str) -> str | None:
    """Return the main field of a kind."""
    return FIELDS[ScheduleKind(kind)][0] if kind in FIELDS else None


def to_expression(values: dict[str, Any]) -> str:
    """Return the expression that valid fields form, empty if they are incomplete."""
    kind, timezone = values.get("kind", ""), values.get("timezone", "")
    text = _compose(kind, values)
    try:
        return load_timing(kind, text, timezone).expression
    except InvalidSchedule:
        return text


def _compose(kind: str, values: dict[str, Any]) -> str:
    if kind == ScheduleKind.INTERVAL:
        every: Decimal | None = values.get("every")
        return "" if every is None else str(every * (values.get("unit") or 1))
    if kind == ScheduleKind.SOLAR:
        parts = [values.get(name) for name in FIELDS[ScheduleKind.SOLAR]]
        return "" if None in parts or not parts[0] else " ".join(map(str, parts))
    field = main_field(kind)
    return str(values.get(field) or "").strip() if field else ""


def to_initial(row: Schedule) -> dict[str, Any]:
    """Return the values of the fields for a row's expression; none if it is invalid."""
    try:
        timing = load_timing(row.kind, row.expression, row.timezone)
    except InvalidSchedule:
        return {main_field(row.kind) or "cron": row.expression}
    if isinstance(timing, Every):
        unit = max(size for size, _label in UNITS if size == 1 or timing.seconds % size == 0)
        return {"every": f"{timing.seconds / unit:g}" if unit > 1 else timing.expression, "unit": unit}
    if isinstance(timing, Once):
        local = timing.moment.astimezone(read_zone(timing.timezone))
        return {"moment": local.replace(tzinfo=None)}
    if row.kind == ScheduleKind.SOLAR:
        return dict(zip(FIELDS[ScheduleKind.SOLAR], timing.expression.split(), strict=True))
    return {"cron": timing.expression}
