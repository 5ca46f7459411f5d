"""The filters of the lists by time: a period, and the position that a list continues from."""

import uuid
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.admin import ModelAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy

from ...ids import first_id_at
from ...lifecycle import ResultStatus
from ...models import Result
from ..display import Text
from .filters import ChoiceFilter

__all__ = ["EnqueuedFilter", "FinishedFilter", "OlderFilter", "PeriodFilter", "period_text", "range_text"]

RANGE = "~"
# How much the clocks of two hosts may differ.
CLOCKS_APART = timedelta(minutes=5)


class PeriodFilter(ChoiceFilter):
    """By age, or by a span of time: two times with RANGE between, as in the links of the bars above a list."""

    ages = {
        "hour": (timedelta(hours=1), gettext_lazy("Past hour")),
        "day": (timedelta(days=1), gettext_lazy("Past 24 hours")),
        "week": (timedelta(days=7), gettext_lazy("Past 7 days")),
        "month": (timedelta(days=30), gettext_lazy("Past 30 days")),
    }

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
        found: list[tuple[str, Text]] = [(name, label) for name, (_age, label) in self.ages.items()]
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

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Model]") -> list[tuple[str, Text]]:
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
