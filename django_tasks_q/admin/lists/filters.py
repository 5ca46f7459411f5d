"""The filters of the lists by what is in a column; those by time are in `periods`. No choice reads a whole table."""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...brokers import get_broker
from ...lifecycle import ALIVE, JobStatus, ResultStatus, WorkerStatus
from ...models import Queue, Worker
from ...monitoring.failures import SEARCHED as LOOKED_AT
from ...monitoring.failures import newest_failures
from ...monitoring.names import newest_values
from ..backends import BACKEND_VAR, aliases_in, backend_aliases, chosen_database, databases
from ..display import Text, storable

__all__ = [
    "BackendFilter",
    "ErrorFilter",
    "JobQueueFilter",
    "JobStatusFilter",
    "JobWorkerFilter",
    "ResultBackendFilter",
    "ResultQueueFilter",
    "ResultStatusFilter",
    "TaskFilter",
    "WorkerStatusFilter",
]

# How many of the newest rows are searched if no index helps.
SEARCHED = 100_000
MOST_CHOICES = 100


class ChoiceFilter(SimpleListFilter):
    """One value of one column.

    note: what the user has to know about what the filter leaves out.
    """

    field: str
    note = ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Model]) -> QuerySet[Model]:
        value = self.value()
        if value is None:
            return queryset
        # No database stores U+0000, and PostgreSQL refuses to search for it.
        return self.narrow(queryset, value) if "\0" not in value else queryset.none()

    def narrow(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        return queryset.filter(**{self.field: value})

    def known(self, request: HttpRequest, rows: QuerySet[Model]) -> set[str]:
        """Return the values that can be chosen."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        found = sorted(self.known(request, model_admin.model._default_manager.using(chosen_database(request))))[
            :MOST_CHOICES
        ]
        # The chosen value stays visible, whether it is known or not.
        chosen = self.value()
        if chosen and chosen not in found:
            found.append(chosen)
        return [(name, name) for name in found]


class _AmongTheNewest(ChoiceFilter):
    """For a column of the history without an index: only the newest rows are searched."""

    def narrow(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        narrowed = super().narrow(queryset, value)
        if narrowed is queryset:
            return queryset
        rows = queryset.model._default_manager.using(queryset.db).order_by("-pk").values_list("pk", flat=True)
        oldest = rows[SEARCHED : SEARCHED + 1].first()
        if oldest is None:
            return narrowed
        self.note = _("Filtering by %(filter)s searches only the newest %(number)s results.") % {
            "filter": self.title,
            "number": number_format(SEARCHED, force_grouping=True),
        }
        return narrowed.filter(pk__gt=oldest)


class _StatusFilter(ChoiceFilter):
    title = gettext_lazy("status")
    parameter_name = field = "status"
    statuses: type[JobStatus] | type[ResultStatus] | type[WorkerStatus]

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        return list(self.statuses.choices)


class JobStatusFilter(_StatusFilter):
    statuses = JobStatus


class ResultStatusFilter(_StatusFilter):
    statuses = ResultStatus


class WorkerStatusFilter(_StatusFilter):
    statuses = WorkerStatus


class _QueueFilter(ChoiceFilter):
    title = gettext_lazy("queue")
    parameter_name = "queue"
    field = "queue_name"

    def known(self, request: HttpRequest, rows: QuerySet[Model]) -> set[str]:
        set_up = Queue.objects.using(rows.db).values_list("name", flat=True)[:MOST_CHOICES]
        return {*newest_values(rows, self.field), *set_up}


class JobQueueFilter(_QueueFilter):
    def known(self, request: HttpRequest, rows: QuerySet[Model]) -> set[str]:
        ready = [get_broker(alias).ready_queues() for alias in aliases_in(rows.db)]
        return super().known(request, rows).union(*ready)


class ResultQueueFilter(_AmongTheNewest, _QueueFilter):
    pass


class TaskFilter(ChoiceFilter):
    title = gettext_lazy("task")
    parameter_name = "task"
    field = "task_path"

    def known(self, request: HttpRequest, rows: QuerySet[Model]) -> set[str]:
        return set(newest_values(rows, self.field))


class JobWorkerFilter(ChoiceFilter):
    title = gettext_lazy("worker")
    parameter_name = "worker"
    field = "worker_id"

    def known(self, request: HttpRequest, rows: QuerySet[Model]) -> set[str]:
        online = Worker.objects.using(rows.db).filter(status__in=ALIVE)
        return set(online.values_list("pk", flat=True)[:MOST_CHOICES])


class ErrorFilter(ChoiceFilter):
    """By what failed and where: among the newest failures, because no index leads to it."""

    title = gettext_lazy("error")
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        # The page of failures links here, and is the place to choose among them.
        chosen = self.value()
        return [] if chosen is None else [(chosen, storable(chosen) or gettext_lazy("Unknown"))]

    def has_output(self) -> bool:
        return self.value() is not None

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        failed, is_complete = newest_failures(queryset)
        if not is_complete:
            self.note = _("Filtering by error searches only the newest %s failures.") % number_format(
                LOOKED_AT, force_grouping=True
            )
        return failed.filter(error_group=value) if value else failed.filter(error_group=None)


class BackendFilter(ChoiceFilter):
    """By backend, if TASKS has several. If they are in different databases, one of them is always chosen."""

    title = gettext_lazy("backend")
    parameter_name = field = BACKEND_VAR

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        aliases = backend_aliases()
        return [(alias, alias) for alias in aliases] if len(aliases) > 1 else []

    def value(self) -> str | None:
        given = super().value()
        if given is None and len(databases()) > 1:
            return backend_aliases()[0]
        return given

    def narrow(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        """Filter by the column only if the database is not the backend's own."""
        alone = aliases_in(queryset.db) == [value]
        return queryset if alone else super().narrow(queryset, value)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        every, *others = super().choices(changelist)
        return iter([*others] if len(databases()) > 1 else [every, *others])


class ResultBackendFilter(_AmongTheNewest, BackendFilter):
    pass
