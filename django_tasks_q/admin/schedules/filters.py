"""The filters of the schedule list. It is a small table: the choices are queried."""

from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from ...lifecycle import ScheduleKind, ScheduleOrigin
from ...monitoring.schedules import ScheduleState
from ..display import Text
from ..lists.filters import MOST_CHOICES, ChoiceFilter
from .display import STATES

__all__ = ["KindFilter", "OriginFilter", "ScheduledTaskFilter", "StateFilter"]

CONDITIONS: dict[str, dict[str, object]] = {
    ScheduleState.PAUSED: {"paused": True},
    ScheduleState.DISABLED: {"paused": False, "enabled": False},
    ScheduleState.FINISHED: {"paused": False, "enabled": True, "next_run_at": None},
    ScheduleState.ACTIVE: {"paused": False, "enabled": True, "next_run_at__isnull": False},
}


class StateFilter(ChoiceFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        return [(state.value, label) for state, label in STATES.items()]

    def narrow(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(**CONDITIONS[value]) if value in CONDITIONS else queryset.none()


class OriginFilter(ChoiceFilter):
    title = gettext_lazy("origin")
    parameter_name = field = "origin"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        return list(ScheduleOrigin.choices)


class KindFilter(ChoiceFilter):
    title = gettext_lazy("kind")
    parameter_name = field = "kind"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        return list(ScheduleKind.choices)


class ScheduledTaskFilter(ChoiceFilter):
    title = gettext_lazy("task")
    parameter_name = "task"
    field = "task_path"

    def known(self, request: HttpRequest, rows: QuerySet[Model]) -> set[str]:
        return set(rows.order_by(self.field).values_list(self.field, flat=True).distinct()[:MOST_CHOICES])
