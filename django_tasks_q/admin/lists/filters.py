"""The filters of the lists. No choice reads a whole table."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...brokers import get_broker
from ...ids import first_id_at
from ...lifecycle import ALIVE, JobStatus, ResultStatus, WorkerStatus
from ...models import Queue, Result, Worker
from ...monitoring.failures import SEARCHED as LOOKED_AT
from ...monitoring.failures import newest_failures
from ...monitoring.names import newest_values
from ..backends import BACKEND_VAR, aliases_in, backend_aliases, chosen_database, databases
from ..display import storable

__all__ = [
    "BackendFilter",
    "EnqueuedFilter",
    "ErrorFilter",
    "FinishedFilter",
    "JobQueueFilter",
    "JobStatusFilter",
    "JobWorkerFilter",
    "OlderFilter",
    "PeriodFilter",
    "ResultBackendFilter",
    "ResultQueueFilter",
    "ResultStatusFilter",
    "TaskFilter",
    "WorkerStatusFilter",
    "period_text",
    "range_text",
]

# How many of the newest rows are searched if no index helps.
SEARCHED = 100_000
RANGE = "~"
# How much the clocks of two hosts may differ.
CLOCKS_APART = timedelta(minutes=5)
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

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, str]]:
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
    statuses: Any

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, str]]:
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


class PeriodFilter(ChoiceFilter):
    """By age, or by a span of time: two times with RANGE between, as in the links of the bars above a list."""

    ages = {
        "hour": (timedelta(hours=1), gettext_lazy("Past hour")),
        "day": (timedelta(days=1), gettext_lazy("Past 24 hours")),
        "week": (timedelta(days=7), gettext_lazy("Past 7 days")),
        "month": (timedelta(days=30), gettext_lazy("Past 30 days")),
    }

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = [(name, label) for name, (_age, label) in self.ages.items()]
        chosen = self.value()
        if chosen and chosen not in self.ages and (period := self.period()):
            found.append((chosen, period_text(*period)))
        return found

    def period(self) -> tuple[datetime, datetime] | None:
        """Return the bounds of the choice, aware, or None."""
        value = self.value() or ""
        if value in self.ages:
            now = datetime.now(UTC)
            # Include what happens while the page is built.
            return now - self.ages[value][0], now + timedelta(minutes=1)
        return _parse_range(value)

    def narrow(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        period = self.period()
        return queryset if period is None else self.within(queryset, *period)

    def within(self, queryset: QuerySet[Model], start: datetime, end: datetime) -> QuerySet[Model]:
        raise NotImplementedError


class EnqueuedFilter(PeriodFilter):
    """Ids begin with their time, so the primary key serves as index."""

    title = gettext_lazy("time enqueued")
    parameter_name = "enqueued"

    def within(self, queryset: QuerySet[Model], start: datetime, end: datetime) -> QuerySet[Model]:
        return queryset.filter(pk__gte=first_id_at(start), pk__lt=first_id_at(end))


class FinishedFilter(PeriodFilter):
    """The index of each status is ordered by time."""

    title = gettext_lazy("time finished")
    parameter_name = "finished"

    def within(self, queryset: QuerySet[Model], start: datetime, end: datetime) -> QuerySet[Model]:
        bounds = [moment if settings.USE_TZ else timezone.make_naive(moment) for moment in (start, end)]
        # Rows enqueued later cannot be among them: a scan by primary key need not read them.
        return queryset.filter(
            status__in=ResultStatus.values,
            finished_at__gte=bounds[0],
            finished_at__lt=bounds[1],
            pk__lt=first_id_at(end + CLOCKS_APART),
        )


class OlderFilter(ChoiceFilter):
    """The rows after a given row, in the order of the list: this continues where the last page ends."""

    title = gettext_lazy("position")
    parameter_name = "older"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Any]]:
        chosen = self.value()
        return [] if chosen is None else [(chosen, gettext_lazy("Further down"))]

    def has_output(self) -> bool:
        return self.value() is not None

    def narrow(self, queryset: QuerySet[Model], value: str) -> QuerySet[Model]:
        try:
            return queryset.filter(pk__lt=uuid.UUID(value))
        except ValueError:
            moment = _parse_moment(value)
        if moment is None or queryset.model is not Result:
            return queryset
        # Rows enqueued later are not among them: if the list is ordered by primary key, it begins there.
        return queryset.filter(
            finished_at__lt=moment if settings.USE_TZ else timezone.make_naive(moment),
            pk__lt=first_id_at(moment + CLOCKS_APART),
        )


def period_text(start: datetime, end: datetime) -> str:
    """Return a span of time in the project's time zone; the day of its end only if it differs."""
    first, last = (timezone.localtime(moment) for moment in (start, end))
    same = first.date() == last.date()
    return f"{first:%Y-%m-%d %H:%M:%S} \N{EN DASH} {last:{'%H:%M:%S' if same else '%Y-%m-%d %H:%M:%S'}}"


def range_text(start: datetime, end: datetime) -> str:
    """Return a span of time as a value for PeriodFilter."""
    return RANGE.join(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for moment in (start, end))


def _parse_range(text: str) -> tuple[datetime, datetime] | None:
    first, _separator, last = text.partition(RANGE)
    start, end = _parse_moment(first), _parse_moment(last)
    if start is None or end is None or start >= end:
        return None
    return start, end


def _parse_moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # The first and the last years cannot be expressed in every time zone.
    return moment.astimezone(UTC) if 1971 <= moment.year <= 9_000 else None


class ErrorFilter(ChoiceFilter):
    """By what failed and where: among the newest failures, because no index leads to it."""

    title = gettext_lazy("error")
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Any]]:
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

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, str]]:
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
