import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..compat import BaseTask
from ..control.calls import parameters_of
from ..control.queues import find_refusal
from ..task_options import HIGHEST_PRIORITY, LONGEST_QUEUE_NAME, LOWEST_PRIORITY
from .backends import backend_aliases

__all__ = ["CallForm", "EnqueueForm", "MoveForm"]

LONGEST_DELAY = 366 * 86_400


class MoveForm(forms.Form):
    """The queue and the priority that jobs are moved to."""

    queue = forms.CharField(label=gettext_lazy("Queue"), max_length=LONGEST_QUEUE_NAME, required=False)
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"), min_value=LOWEST_PRIORITY, max_value=HIGHEST_PRIORITY, required=False
    )

    def clean_queue(self) -> str:
        """Refuse a queue that none of the backends has. Jobs of one that does not have it are left alone."""
        name: str = self.cleaned_data["queue"]
        refusals = [find_refusal(name, backend=alias) for alias in backend_aliases()] if name else []
        if refusals and all(refusals):
            raise forms.ValidationError(refusals[0] or "")
        return name

    def clean(self) -> dict[str, Any]:
        given = {"queue": self.cleaned_data.get("queue") or None, "priority": self.cleaned_data.get("priority")}
        if not self.errors and given == {"queue": None, "priority": None}:
            raise forms.ValidationError(_("Choose a different queue or priority."))
        return given


class JSONText(forms.CharField):
    """A value as JSON. kind: the type that it must have."""

    widget = forms.Textarea(attrs={"rows": 2, "cols": 60, "spellcheck": "false"})

    def __init__(self, kind: type = object, **given: Any) -> None:
        self.kind = kind
        super().__init__(**given)

    def clean(self, value: object) -> object:
        text = super().clean(value).strip()
        if not text:
            return None
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is not valid JSON: %s. Text needs quotes.") % error) from None
        if not isinstance(found, self.kind):
            wanted = _("a list: [1, 2]") if self.kind is list else _('an object: {"name": 1}')
            raise forms.ValidationError(_("This must be %s.") % wanted)
        return found


class CallForm(forms.Form):
    """The arguments of a call, one field for each parameter of the task.

    args, kwargs: the initial values. Once the form is valid, `call` has the arguments to pass. Raise ValueError if the
    task has no signature.
    """

    def __init__(
        self, task: BaseTask, data: Any = None, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(data)
        self.parameters = parameters_of(task)
        self.fits = True
        begun = self._begun(args, kwargs or {})
        arguments = {_field_name(each): _field(each, begun) for each in self.parameters}
        # Before the fields of the class, which say where it goes.
        self.fields = arguments | self.fields

    def _begun(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return dict(inspect.Signature(self.parameters).bind_partial(*args, **kwargs).arguments)
        except TypeError:
            self.fits = False
            return {}

    @property
    def call(self) -> tuple[list[Any], dict[str, Any]]:
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for each in self.parameters:
            value = self.cleaned_data.get(_field_name(each))
            if each.kind == each.VAR_POSITIONAL:
                args += value or []
            elif each.kind == each.VAR_KEYWORD:
                kwargs |= value or {}
            elif self._is_given(each):
                # By position as long as no earlier one was left out.
                by_name = each.kind == each.KEYWORD_ONLY or len(args) < self.parameters.index(each)
                if by_name:
                    kwargs[each.name] = value
                else:
                    args.append(value)
        return args, kwargs

    def _is_given(self, each: inspect.Parameter) -> bool:
        """Return whether the field has a value, or is required."""
        return each.default is each.empty or bool(self.data.get(_field_name(each), "").strip())


class EnqueueForm(CallForm):
    """A call, and when and where it is to run. Empty fields mean the task's own values."""

    queue = forms.CharField(label=gettext_lazy("Queue"), max_length=LONGEST_QUEUE_NAME, required=False)
    priority = forms.IntegerField(
        label=gettext_lazy("Priority"), min_value=LOWEST_PRIORITY, max_value=HIGHEST_PRIORITY, required=False
    )
    delay = forms.IntegerField(
        label=gettext_lazy("Delay in seconds"), min_value=0, max_value=LONGEST_DELAY, required=False
    )


def _field_name(each: inspect.Parameter) -> str:
    # None of our own fields begins like this.
    return f"arg-{each.name}"


def _field(each: inspect.Parameter, begun: Mapping[str, Any]) -> forms.Field:
    if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
        stars, kind = ("*", list) if each.kind == each.VAR_POSITIONAL else ("**", dict)
        value = list(begun.get(each.name, ())) if kind is list else begun.get(each.name, {})
        label = f"{stars}{each.name}"
        return JSONText(kind, label=label, required=False, initial=json.dumps(value, ensure_ascii=False))
    optional = each.default is not each.empty
    common: dict[str, Any] = {"label": _label(each), "required": not optional}
    if optional:
        common["help_text"] = _("If empty: %s") % repr(each.default)[:100]
    return _typed_field(each, common, begun)


def _typed_field(each: inspect.Parameter, common: dict[str, Any], begun: Mapping[str, Any]) -> forms.Field:
    """Return a field for the annotation, or one for JSON if there is none, or if the value does not match it."""
    has_value = each.name in begun
    value = begun.get(each.name)
    kind = {"str": str, "int": int}.get(str(each.annotation), each.annotation)
    if kind is str and (not has_value or isinstance(value, str)):
        widget = forms.Textarea(attrs={"rows": 1, "cols": 60})
        # An empty field would mean an empty text: that is intended only if the call had it before.
        common["required"] &= value != ""
        return forms.CharField(**common, strip=False, initial=value, widget=widget)
    if kind is int and (not has_value or type(value) is int):
        return forms.IntegerField(**common, initial=value)
    return JSONText(
        **common, initial=json.dumps(value, ensure_ascii=False, indent=_indent(value)) if has_value else None
    )


def _label(each: inspect.Parameter) -> str:
    if each.annotation is each.empty:
        return each.name
    return f"{each.name} ({getattr(each.annotation, '__name__', each.annotation)})"[:100]


def _indent(value: object) -> int | None:
    return 2 if isinstance(value, Iterable) and len(json.dumps(value)) > 60 else None
