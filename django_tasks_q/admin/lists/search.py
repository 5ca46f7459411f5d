"""Searching a list by argument, in addition to an id or part of a task path."""

import json
import re
from typing import Any, TypeVar

from django.db.models import Model, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.utils.formats import number_format
from django.utils.translation import gettext as _

__all__ = ["LOOKED_AT", "is_about_arguments", "search_arguments", "search_notes"]

# How many of the newest rows are searched for an argument: there is no index for it.
LOOKED_AT = 50_000
Row = TypeVar("Row", bound=Model)
ARGUMENT = re.compile(r"(args|kwargs|metadata)\.([^=]+?)\s*=\s*(.*)", re.DOTALL)
MOST_STEPS = 10
LAST_PLACE = 1_000_000


def is_about_arguments(text: str) -> bool:
    """Return whether a search is for an argument: kwargs.order_id=42, args.0=42, kwargs.address.city="Rome"."""
    match = ARGUMENT.fullmatch(text.strip())
    return match is not None and len(match[2].split(".")) <= MOST_STEPS


def search_arguments(queryset: QuerySet[Row], text: str) -> QuerySet[Row]:
    """Return those of the newest rows with this value in an argument. Values are compared as text."""
    match = ARGUMENT.fullmatch(text.strip())
    if match is None:
        return queryset.none()
    column, path, value = match.groups()
    expression: Any = column
    for step in path.strip().split("."):
        if not _is_step(step):
            return queryset.none()
        expression = KeyTextTransform(step, expression)
    rows = queryset.model._default_manager.using(queryset.db).order_by("-pk").values_list("pk", flat=True)
    oldest = rows[LOOKED_AT : LOOKED_AT + 1].first()
    newest: QuerySet[Row] = queryset if oldest is None else queryset.filter(pk__gt=oldest)
    found: QuerySet[Any] = newest.annotate(sought=Cast(expression, TextField())).filter(sought=_value(value))
    return found


def search_notes(text: str) -> list[str]:
    """Return what the user has to know about what a search leaves out."""
    if not is_about_arguments(text):
        return []
    return [
        _("Searching by arguments covers only the newest %s rows.") % number_format(LOOKED_AT, force_grouping=True)
    ]


def _is_step(text: str) -> bool:
    """Return whether every database accepts it as a name or an index: some refuse negative and very large indexes."""
    try:
        return 0 <= int(text) <= LAST_PLACE
    except ValueError:
        return "\0" not in text


def _value(text: str) -> str:
    """Return the value searched for: in quotes, or as it is."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text.strip()
    return found if isinstance(found, str) else text.strip()
