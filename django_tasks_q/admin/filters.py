"""What a list can be narrowed to. No choice costs a look at a whole table."""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..brokers import get_broker
from ..lifecycle import JobStatus, ResultStatus, WorkerStatus
from ..models import Queue, Worker
from ..monitoring.names import newest_values
from .backends import BACKEND_VAR, backend_aliases, backends_in, chosen_database, databases

__all__ = [
    "BackendFilter",
    "EnqueuedFilter",
    "JobQueueFilter",
    "JobStatusFilter",
    "JobWorkerFilter",
    "ResultBackendFilter",
    "ResultQueueFilter",
    "ResultStatusFilter",
    "TaskFilter",
    "WorkerStatusFilter",
]

# How many of the newest rows are searched where no index leads to what is sought.
SEARCHED = 100_000
MOST_CHOICES = 100


class ChoiceFilter(SimpleListFilter):
    """One value of one column.

    note: what the reader has to know about what the filter leaves out.
    """

    field: str
    note = ""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value is None:
            return queryset
        # No database keeps U+0000, and PostgreSQL refuses to look for it.
        return self.narrow(queryset, value) if "\0" not in value else queryset.none()

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{self.field: value})

    def known(self, request: HttpRequest, rows: QuerySet[Any]) -> set[str]:
        """Return the values that can be chosen."""
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        found = sorted(self.known(request, model_admin.model.objects.using(chosen_database(request))))[:MOST_CHOICES]
        # What was chosen stays visible, whether it is known or not.
        chosen = self.value()
        if chosen and chosen not in found:
            found.append(chosen)
        return [(name, name) for name in found]


class _AmongTheNewest(ChoiceFilter):
    """For a column of the history without an index: only the newest rows are searched."""

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        narrowed = super().narrow(queryset, value)
        if narrowed is queryset:
            return queryset
        rows = queryset.model._default_manager.using(queryset.db).order_by("-pk").values_list("pk", flat=True)
        oldest = rows[SEARCHED : SEARCHED + 1].first()
        if oldest is None:
            return narrowed
        self.note = _("By %(filter)s, only the newest %(number)s results are searched.") % {
            "filter": self.title,
            "number": number_format(SEARCHED, force_grouping=True),
        }
        return narrowed.filter(pk__gt=oldest)


class _StatusFilter(ChoiceFilter):
    title = gettext_lazy("status")
    parameter_name = field = "status"
    statuses: Any

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
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

    def known(self, request: HttpRequest, rows: QuerySet[Any]) -> set[str]:
        set_up = Queue.objects.using(rows.db).values_list("name", flat=True)[:MOST_CHOICES]
        return {*newest_values(rows, self.field), *set_up}


class JobQueueFilter(_QueueFilter):
    def known(self, request: HttpRequest, rows: QuerySet[Any]) -> set[str]:
        ready = [get_broker(alias).ready_queues() for alias in backends_in(rows.db)]
        return super().known(request, rows).union(*ready)


class ResultQueueFilter(_AmongTheNewest, _QueueFilter):
    pass


class TaskFilter(ChoiceFilter):
    title = gettext_lazy("task")
    parameter_name = "task"
    field = "task_path"

    def known(self, request: HttpRequest, rows: QuerySet[Any]) -> set[str]:
        return set(newest_values(rows, self.field))


class JobWorkerFilter(ChoiceFilter):
    title = gettext_lazy("worker")
    parameter_name = "worker"
    field = "worker_id"

    def known(self, request: HttpRequest, rows: QuerySet[Any]) -> set[str]:
        online = Worker.objects.using(rows.db).filter(status__in=[WorkerStatus.ONLINE, WorkerStatus.DRAINING])
        return set(online.values_list("pk", flat=True)[:MOST_CHOICES])


class EnqueuedFilter(ChoiceFilter):
    """By age: ids begin with their time, so that the primary key leads to it."""

    title = gettext_lazy("time of enqueueing")
    parameter_name = "enqueued"
    ages = {
        "hour": (timedelta(hours=1), gettext_lazy("Past hour")),
        "day": (timedelta(days=1), gettext_lazy("Past 24 hours")),
        "week": (timedelta(days=7), gettext_lazy("Past 7 days")),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, label) for name, (_age, label) in self.ages.items()]

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if value not in self.ages:
            return queryset
        return queryset.filter(pk__gte=first_id_at(timezone.now() - self.ages[value][0]))


class BackendFilter(ChoiceFilter):
    """By backend, where TASKS has several. Where they are in different databases, one of them is always chosen."""

    title = gettext_lazy("backend")
    parameter_name = field = BACKEND_VAR

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        aliases = backend_aliases()
        return [(alias, alias) for alias in aliases] if len(aliases) > 1 else []

    def value(self) -> str | None:
        given = super().value()
        if given is None and len(databases()) > 1:
            return backend_aliases()[0]
        return given

    def narrow(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        """Look at the column only where the database is not the backend's own."""
        alone = backends_in(queryset.db) == [value]
        return queryset if alone else super().narrow(queryset, value)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        every, *others = super().choices(changelist)
        return iter([*others] if len(databases()) > 1 else [every, *others])


class ResultBackendFilter(_AmongTheNewest, BackendFilter):
    pass


def first_id_at(moment: datetime) -> uuid.UUID:
    """Return the smallest UUIDv7 of a moment."""
    milliseconds = int(moment.timestamp() * 1_000)
    return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x2 << 62)
