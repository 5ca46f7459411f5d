import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest

from ...monitoring.schedules import job_statuses
from ..backends import backend_aliases
from ..lists.pagination import TasksChangeList

if TYPE_CHECKING:
    from .page import ScheduleAdmin

__all__ = ["ScheduleChangeList", "note_last_jobs"]


def note_last_jobs(rows: Sequence[Any]) -> None:
    """Give each row the status of its last job as `last_status`, None if that job no longer exists."""
    statuses: dict[uuid.UUID, str] = {}
    for alias in backend_aliases():
        if ids := [row.last_job_id for row in rows if row.backend == alias and row.last_job_id]:
            statuses |= job_statuses(alias, ids)
    for row in rows:
        row.last_status = statuses.get(row.last_job_id)


class ScheduleChangeList(TasksChangeList):
    model_admin: "ScheduleAdmin"

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        note_last_jobs(self.result_list)
        page = self.model_admin
        for row in self.result_list:
            row.buttons = page.buttons(request, row, page.get_preserved_filters(request))
