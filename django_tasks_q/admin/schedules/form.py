"""The form of an operator's schedule."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS
from django.forms.fields import InvalidJSONInput
from django.forms.renderers import BaseRenderer
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from ...brokers import get_database
from ...exceptions import InvalidSchedule, ScheduleNotFound
from ...models import Schedule
from ...monitoring.tasks import known_tasks
from ..backends import backend_aliases
from ..base import Fieldsets
from ..display import Text
from .timings import FIELDS, MomentInput, TimingFields, main_field, to_expression, to_initial

if TYPE_CHECKING:
    BaseForm = forms.ModelForm[Schedule]
else:
    BaseForm = forms.ModelForm

__all__ = ["FIELDSETS", "PREVIEW", "ScheduleForm"]

# The name of the button that requests a preview without JavaScript.
PREVIEW = "_preview"


class Suggestions(forms.TextInput):
    """A text with suggestions, which the browser shows while the user types."""

    def __init__(self, suggestions: Callable[[], Iterable[str]], attrs: dict[str, object] | None = None) -> None:
        super().__init__(attrs)
        self.suggestions = suggestions

    def render(
        self, name: str, value: object, attrs: dict[str, object] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        key = f"{(attrs or {}).get('id', name)}_suggestions"
        options = format_html_join("", '<option value="{}">', ((each,) for each in sorted(self.suggestions())))
        field = super().render(name, value, {**(attrs or {}), "list": key}, renderer)
        return format_html('{}<datalist id="{}">{}</datalist>', field, key, options)


class JSONText(forms.JSONField):
    """A value as JSON, with its own value for an empty field. Too deep or too large a value is invalid too."""

    def __init__(self, empty: type, **given: Any) -> None:
        attrs = {"rows": 2, "cols": 60, "spellcheck": "false", "class": "vLargeTextField tasksq-code"}
        super().__init__(required=False, initial=empty, widget=forms.Textarea(attrs=attrs), **given)
        self.empty = empty

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
        except (ValueError, RecursionError):
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None
        return self.empty() if found is None else found

    def prepare_value(self, value: Any) -> Any:
        return "" if value in ([], {}) else super().prepare_value(value)

    def bound_data(self, data: Any, initial: Any) -> Any:
        try:
            return super().bound_data(data, initial)
        except (ValueError, RecursionError):
            return InvalidJSONInput(data)


class ScheduleForm(TimingFields, BaseForm):
    """Refuses what code and commands refuse, with the same messages. refusal: why saving has just failed."""

    refusal: InvalidSchedule | ScheduleNotFound | None = None

    task_path = forms.ChoiceField(label=gettext_lazy("task"), help_text=gettext_lazy("A task that this site knows."))
    args = JSONText(list, label=gettext_lazy("arguments"), help_text=gettext_lazy('A JSON list: [42, "mail"].'))
    kwargs = JSONText(
        dict, label=gettext_lazy("keyword arguments"), help_text=gettext_lazy('A JSON object: {"day": "monday"}.')
    )
    options = JSONText(
        dict,
        label=gettext_lazy("options"),
        help_text=gettext_lazy('Options that override the task\'s own, as a JSON object: {"max_attempts": 3}.'),
    )
    start_at = forms.DateTimeField(label=gettext_lazy("start at"), required=False, widget=MomentInput)
    end_at = forms.DateTimeField(label=gettext_lazy("end at"), required=False, widget=MomentInput)

    class Meta:
        model = Schedule
        fields = (
            "name", "task_path", "args", "kwargs", "kind", "timezone", "enabled", "description", "start_at", "end_at",
            "max_runs", "jitter", "expires_after", "catch_up", "catch_up_window", "overlap", "queue_name", "priority",
            "options",
        )  # fmt: skip
        widgets = {
            "name": forms.TextInput(attrs={"class": "vTextField"}),
            "description": forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"}),
            "timezone": Suggestions(available_timezones, {"class": "vTextField", "spellcheck": "false"}),
        }
        help_texts = {
            "timezone": gettext_lazy("The time zone that applies, such as Europe/Rome."),
            "enabled": gettext_lazy("A schedule that failed is disabled; fix it, and enable it again."),
            "max_runs": gettext_lazy("It ends after this many runs. Empty: no limit."),
            "jitter": gettext_lazy(
                "Seconds. Each job is delayed by a part of this, so that not all start at once."
            ),
            "expires_after": gettext_lazy("Seconds after its slot. A job that has not started by then is cancelled."),
            "catch_up": gettext_lazy("Which of the slots that passed while no worker was running are made up for."),
            "catch_up_window": gettext_lazy("Seconds. Older slots are not made up for. Empty: no limit."),
            "overlap": gettext_lazy("What to do if the job of the previous slot has not finished."),
            "queue_name": gettext_lazy("Empty: the task's own."),
            "priority": gettext_lazy("From -100 to 100, the highest first. Empty: the task's own."),
        }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        row = kwargs.get("instance")
        begun = {"timezone": timezone.get_default_timezone_name()} if row is None else to_initial(row)
        kwargs["initial"] = begun | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        if row is None:
            self.instance.backend = backend_aliases()[0]
        zone = timezone.get_current_timezone_name()
        for name in ("start_at", "end_at"):
            self.fields[name].help_text = _("In the time zone %(zone)s.") % {"zone": zone}
        self.backends = {path: task.backend for path, task in known_tasks().items() if self._may_run(task.backend)}
        for field in self.fields.values():
            field.label = capfirst(field.label)
        self.fields["task_path"].choices = self._tasks()  # type: ignore[attr-defined]

    def _may_run(self, alias: str) -> bool:
        """A schedule stays with its backend; a new one goes to its task's backend."""
        return alias in backend_aliases() if self.instance._state.adding else alias == self.instance.backend

    def _tasks(self) -> list[tuple[str, str]]:
        paths = sorted(self.backends)
        current = self.instance.task_path
        if current and current not in self.backends:
            paths.append(current)
        return [("", "---------"), *((path, path) for path in paths)]

    # validation

    def is_valid(self) -> bool:
        """Return whether it can be saved, which a preview does not need."""
        return super().is_valid() and PREVIEW not in self.data

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        row = self.instance
        if row._state.adding:
            row.backend = self.backends.get(values.get("task_path", ""), row.backend)
        row.expression = to_expression(values)
        others = Schedule.objects.using(get_database(row.backend)).filter(backend=row.backend).exclude(pk=row.pk)
        if "name" in values and others.filter(name=values["name"]).exists():
            self.add_error("name", _("The schedule “%(name)s” already exists.") % {"name": values["name"]})
        elif self.refusal is not None and not self.errors:
            self.add_error(self._place(getattr(self.refusal, "field", "")), str(self.refusal))
        return values

    def add_error(self, field: str | None, error: Any) -> None:
        """Put an error of a column where the user can fix it. One error for each field is enough."""
        if not hasattr(error, "error_dict"):
            super().add_error(field, error)
            return
        for column, errors in error.error_dict.items():
            place = self._place(column)
            if not self.has_error(place or NON_FIELD_ERRORS):
                super().add_error(place, errors)

    def _place(self, column: str) -> str | None:
        if column == "expression":
            return main_field(self.data.get(self.add_prefix("kind"), ""))
        if column == "args" and self.has_error("kwargs"):
            # They could not be parsed, so they cannot fit.
            return "kwargs"
        return column if column in self.fields else None


def _kind(kind: str, title: Text) -> Any:
    description = gettext_lazy("Only if this kind is chosen above.")
    names = FIELDS[kind]  # type: ignore[index]
    # On one line.
    return title, {"fields": (names,), "classes": ("tasksq-kind", f"tasksq-kind-{kind}"), "description": description}


FIELDSETS: Fieldsets = (
    (None, {"fields": ("name", "task_path", "args", "kwargs", "description")}),
    (gettext_lazy("When"), {"fields": ("kind", "timezone")}),
    _kind("cron", gettext_lazy("Cron expression")),
    _kind("interval", gettext_lazy("Interval")),
    _kind("clocked", gettext_lazy("One moment")),
    _kind("solar", pgettext_lazy("kind of schedule", "Sun")),
    (gettext_lazy("Policies"), {"fields": ("catch_up", "catch_up_window", "overlap")}),
    (
        gettext_lazy("Limits"),
        {
            "fields": (("start_at", "end_at"), "max_runs", "jitter", "expires_after", "enabled"),
            "classes": ("collapse",),
        },
    ),
    (
        gettext_lazy("The job"),
        {"fields": ("queue_name", "priority", "options"), "classes": ("collapse",)},
    ),
)
