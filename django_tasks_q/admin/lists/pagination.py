"""Pages of tables that are too large to be counted."""

from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from ...monitoring.counts import BOUND, Count, count
from ..display import counted
from .histogram import Histogram, histogram_of
from .periods import OlderFilter
from .search import search_notes

if TYPE_CHECKING:
    BasePaginator = Paginator[Any]
else:
    BasePaginator = Paginator

__all__ = ["BoundedPaginator", "TasksChangeList"]


class BoundedPaginator(BasePaginator):
    """Counts and pages through the first BOUND rows. counted: the total, as far as it is known."""

    object_list: QuerySet[Model]

    @cached_property
    def counted(self) -> Count:
        return count(self.object_list.order_by())

    @cached_property
    def count(self) -> int:
        return min(int(self.counted), BOUND)

    @property
    def shown(self) -> str:
        return counted(self.counted)

    @property
    def is_cut(self) -> bool:
        return int(self.counted) > self.count or not self.counted.is_exact


class TasksChangeList(ChangeList):
    """Allows only orders that an index serves, and loads no payload."""

    heavy: tuple[str, ...] = ("args", "kwargs", "options", "metadata", "errors", "return_value")

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.request = request
        super().__init__(request, *args, **kwargs)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return list(self.model_admin.get_ordering(request))

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Any]:
        names = {field.name for field in self.opts.get_fields()}
        return super().get_queryset(request, exclude_parameters).defer(*names.intersection(self.heavy))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # The number is below the list; Django would repeat it next to the search, with a link that shows the same.
        if not self.has_active_filters and not self.query:
            self.full_result_count = self.result_count

    @cached_property
    def histogram(self) -> Histogram | None:
        """The bars above the list, if it has a time."""
        kind = getattr(self.model_admin, "time_filter", None)
        return None if kind is None else histogram_of(self, kind)

    @property
    def further(self) -> str:
        """The URL that continues a list too long for paging: after the last row of this page."""
        rows = list(self.result_list)
        if not rows or not getattr(self.paginator, "is_cut", False) or not hasattr(self.model_admin, "time_filter"):
            return ""
        along_time = self.model_admin.get_ordering(self.request)[0] == "-finished_at"
        key = _moment_text(rows[-1].finished_at) if along_time else str(rows[-1].pk)
        return str(self.get_query_string({OlderFilter.parameter_name: key}, remove=["p"]))

    @property
    def permalink(self) -> str:
        """The URL of what is shown, if it is not just the list."""
        chosen = self.has_active_filters or self.query
        return str(self.get_query_string(remove=["p"])) if chosen else ""

    @property
    def notes(self) -> list[str]:
        """What the filters leave out, as text."""
        found = [note for spec in self.filter_specs if (note := getattr(spec, "note", ""))]
        return [*found, *search_notes(self.query)]


def _moment_text(moment: datetime) -> str:
    return (moment if timezone.is_aware(moment) else timezone.make_aware(moment)).isoformat()
