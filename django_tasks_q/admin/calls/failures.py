"""The page of failures, grouped by error."""

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...lifecycle import ResultStatus
from ...models import Result
from ...monitoring.failures import MOST_GROUPS, SEARCHED, FailureGroup, failure_groups
from ..backends import BACKEND_VAR, chosen_database
from ..base import TasksAdmin
from ..display import moment, shortened, storable
from ..lists.filters import ErrorFilter

if TYPE_CHECKING:
    from .results import ResultAdmin

__all__ = ["failures_page"]

WITHIN_VAR = "within"
PERIODS = {
    "": (None, gettext_lazy("Any time")),
    "hour": (timedelta(hours=1), gettext_lazy("Past hour")),
    "day": (timedelta(days=1), gettext_lazy("Past 24 hours")),
    "week": (timedelta(days=7), gettext_lazy("Past 7 days")),
}


def failures_page(admin: "ResultAdmin", request: HttpRequest) -> HttpResponse:
    """Show groups of similar failures, how often and since when, with a sample and actions for each."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    request.current_app = admin.admin_site.name
    chosen = request.GET.get(WITHIN_VAR, "")
    within = PERIODS.get(chosen, PERIODS[""])[0]
    groups, is_complete = failure_groups(Result.objects.using(chosen_database(request)), within)
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Failures by error"),
        "opts": admin.opts,
        "media": admin.media,
        "groups": [_line(admin, request, group) for group in groups],
        "note": "" if is_complete else _("Based on the newest %s failures.") % _number(SEARCHED),
        "cut": _("The %s largest groups are shown.") % _number(MOST_GROUPS) if len(groups) == MOST_GROUPS else "",
        "periods": [(_query(request, name), label, name == chosen) for name, (_age, label) in PERIODS.items()],
        "may_retry": admin.has_retry_permission(request),
        "may_delete": admin.has_delete_permission(request),
    }
    return TemplateResponse(request, "admin/django_tasks_q/result/failures.html", context)


def _line(admin: TasksAdmin[Result], request: HttpRequest, group: FailureGroup) -> dict[str, object]:
    exception, _at, place = (group.error or "").partition(" at ")
    query = {"status": ResultStatus.FAILED, ErrorFilter.parameter_name: group.error or ""}
    if request.GET.get(BACKEND_VAR):
        query[BACKEND_VAR] = request.GET[BACKEND_VAR]
    sample = group.sample
    return {
        "exception": storable(exception.rpartition(".")[2]) or _("Unknown"),
        "path": storable(exception),
        "place": storable(place),
        "count": _number(group.count),
        "first": moment(group.first),
        "last": moment(group.last),
        "reason": shortened(sample.reason, 200) if sample else "",
        "task": storable(sample.task_path) if sample else "",
        "sample": admin.url(Result, "change", sample.pk) if sample else None,
        "url": admin.url(Result, "changelist", **query),
    }


def _query(request: HttpRequest, within: str) -> str:
    given = {BACKEND_VAR: request.GET.get(BACKEND_VAR), WITHIN_VAR: within}
    return "?" + urlencode({name: value for name, value in given.items() if value})


def _number(number: int) -> str:
    return number_format(number, force_grouping=True)
