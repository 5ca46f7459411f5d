import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin, ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import flatten_fieldsets, quote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.text import capfirst

from ..models import Job, Result, Worker
from .backends import BACKEND_VAR, backend_aliases, chosen_database, databases
from .display import link
from .lists.pagination import BoundedPaginator, TasksChangeList

Row = TypeVar("Row", bound=Model)
Button = dict[str, object]
# What identifies a row in a URL.
Key = uuid.UUID | str | int
# What the page that confirms a deletion is given.
Deletion = tuple[list[str], dict[str, int], set[str], list[str]]

if TYPE_CHECKING:
    from django.contrib.admin.options import _FieldsetSpec as Fieldsets

    class BaseAdmin(ModelAdmin[Row]): ...

else:
    Fieldsets = Sequence

    class BaseAdmin(ModelAdmin, Generic[Row]): ...


__all__ = ["Button", "Deletion", "Fieldsets", "Key", "TasksAdmin"]


class TasksAdmin(BaseAdmin[Row]):
    """Shows one of the queue's tables, in whichever database it is. Rows are not added or changed by hand."""

    list_per_page = 100
    list_max_show_all = 100
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    sortable_by = ()

    class Media:
        css = {"all": ["django_tasks_q/admin.css"]}

    # what may be done

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    # what is shown

    def get_queryset(self, request: HttpRequest) -> QuerySet[Row]:
        return super().get_queryset(request).using(chosen_database(request))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Row | None:
        """Return the row with this key from whichever database has it, or None."""
        for using in dict.fromkeys([chosen_database(request), *databases()]):
            row = self.find(object_id, using).first()
            if row is not None:
                return row
        return None

    def find(self, object_id: object, using: str) -> QuerySet[Row]:
        """Return the rows with this key: one or none. An invalid key has none."""
        rows: QuerySet[Row] = self.model._default_manager.using(using)
        try:
            key = self.opts.pk.to_python(object_id)
        except ValidationError:
            return rows.none()
        return rows.none() if "\0" in str(key) else rows.filter(pk=key)

    def get_readonly_fields(self, request: HttpRequest, obj: Row | None = None) -> list[str]:
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, object] | None = None) -> HttpResponse:
        known = {"title": capfirst(self.opts.verbose_name_plural), "tools": self.tools(request)}
        return super().changelist_view(request, {**known, **(extra_context or {})})

    def tools(self, request: HttpRequest) -> list[tuple[object, str | None]]:
        """Return the links above the list: labels and URLs."""
        return []

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, object],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Row | None = None,
    ) -> HttpResponse:
        details = {} if obj is None else self.details(request, obj)
        return super().render_change_form(request, context | details, add, change, form_url, obj)

    def details(self, request: HttpRequest, row: Row) -> dict[str, object]:
        """Return what the page of one row shows in addition to its fields."""
        return {}

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ChangeList]:
        return TasksChangeList

    def get_paginator(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> "Paginator[Any]":
        # An object's history is paged too, and is another table.
        if queryset.model is not self.model:
            return super().get_paginator(request, queryset, *args, **kwargs)
        return BoundedPaginator(queryset, *args, **kwargs)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow only the filters: Django would allow any column, with or without an index."""
        choices: Any = self.get_list_filter(request)
        if lookup not in {choice.parameter_name for choice in choices}:
            raise IncorrectLookupParameters
        return True

    # links

    def url(self, model: type[Model], view: str, *args: Key, **query: object) -> str | None:
        """Return the URL of a page of this site, or None if the site does not show the model."""
        if not self.admin_site.is_registered(model):
            return None
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}"
        address = reverse(name, args=[quote(value) for value in args], current_app=self.admin_site.name)
        return f"{address}?{urlencode(query)}" if query else address

    def action_button(
        self, row: Job | Result | Worker, action: str, label: object, *, dangerous: bool = False
    ) -> dict[str, object]:
        """Return a button that applies an action of the list to one row, after confirmation."""
        query = {BACKEND_VAR: row.backend} if len(backend_aliases()) > 1 else {}
        fields = [("action", action), ("index", "0"), (ACTION_CHECKBOX_NAME, str(row.pk))]
        url = self.url(self.model, "changelist", **query)
        return {"label": label, "url": url, "fields": fields, "dangerous": dangerous}

    def list_link(self, model: type[Model], text: object, backend: str, **query: object) -> str:
        """Return a link to a list, filtered by backend if TASKS has several."""
        if len(backend_aliases()) > 1:
            query[BACKEND_VAR] = backend
        return link(self.url(model, "changelist", **query), text)
