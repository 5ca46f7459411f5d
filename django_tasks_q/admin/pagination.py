"""Pages of tables that are too large to be counted."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from ..monitoring.counts import BOUND, Count, count

if TYPE_CHECKING:
    BasePaginator = Paginator[Any]
else:
    BasePaginator = Paginator

__all__ = ["BoundedPaginator", "TasksChangeList"]


class BoundedPaginator(BasePaginator):
    """Counts and pages through the first BOUND rows. counted: how many there are in all, as far as it is known."""

    object_list: QuerySet[Any]

    @cached_property
    def counted(self) -> Count:
        return count(self.object_list.order_by())

    @cached_property
    def count(self) -> int:
        return min(int(self.counted), BOUND)

    @property
    def is_cut(self) -> bool:
        return int(self.counted) > self.count or not self.counted.is_exact


class TasksChangeList(ChangeList):
    """Keeps to the orders that an index serves, and loads no payload."""

    heavy: tuple[str, ...] = ("args", "kwargs", "options", "metadata", "errors", "return_value")

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return list(self.model_admin.get_ordering(request))

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        names = {field.name for field in self.opts.get_fields()}
        return super().get_queryset(request, exclude_parameters).defer(*names.intersection(self.heavy))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # The number stands below the list; Django would repeat it beside the search, with a link that shows the same.
        if not self.has_active_filters and not self.query:
            self.full_result_count = self.result_count

    @property
    def notes(self) -> list[str]:
        """What the filters leave out, in words."""
        return [note for spec in self.filter_specs if (note := getattr(spec, "note", ""))]
