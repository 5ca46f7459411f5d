"""What the pages of schedules show: the columns of the list, and the fields of one that is not editable."""

from typing import Any

from django.contrib import admin
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy

from ...lifecycle import ScheduleOrigin
from ...models import Job, Schedule
from ..backends import backend_aliases
from ..base import TasksAdmin
from ..display import NOTHING, code, json_block, link, moment, storable
from .display import job_badge, next_run, state_of, words

__all__ = ["ScheduleColumns", "is_known", "is_operators"]

ORIGINS = {
    ScheduleOrigin.CODE: gettext_lazy("defined in the code"),
    ScheduleOrigin.SETTINGS: gettext_lazy("defined in the settings"),
    ScheduleOrigin.ADMIN: gettext_lazy("created by an operator"),
}


class ScheduleColumns(TasksAdmin[Schedule]):
    """Shows the schedules."""

    list_display = ("shown_name", "state", "next_run", "last_run", "acts")
    list_display_links = ("shown_name",)

    @admin.display(description=gettext_lazy("schedule"))
    def shown_name(self, row: Schedule) -> str:
        """The name, when it runs, and what; and where it is defined if not here."""
        lines = [("words", words(row)), ("reason", storable(row.task_path))]
        if not is_operators(row):
            lines.append(("reason", self.shown_origin(row)))
        return format_html(
            '<span class="tasksq-task">{}</span>{}',
            storable(row.name),
            format_html_join("", ' <span class="tasksq-{}">{}</span>', lines),
        )

    @admin.display(description=gettext_lazy("next run"))
    def next_run(self, row: Schedule) -> str:
        return next_run(row)

    @admin.display(description=gettext_lazy("last run"))
    def last_run(self, row: Any) -> str:
        if row.last_run_at is None:
            return NOTHING
        # A pruned job has no page any more.
        url = self.url(Job, "change", row.last_job_id) if row.last_status else None
        return format_html("{} {}", link(url, moment(row.last_run_at)), job_badge(row.last_status))

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Schedule) -> str:
        return state_of(row)

    @admin.display(description=gettext_lazy("origin"))
    def shown_origin(self, row: Schedule) -> str:
        return str(ORIGINS[ScheduleOrigin(row.origin)])

    @admin.display(description=gettext_lazy("run, pause"))
    def acts(self, row: Any) -> str:
        """Buttons of the list's own form, which has the CSRF token."""
        return format_html(
            '<span class="tasksq-acts">{}</span>',
            format_html_join(
                "",
                '<button type="submit" name="from_list" value="1" formaction="{}" class="button" aria-label="{}">{}'
                "</button>",
                ((each["url"], f"{each['label']}: {storable(row.name)}", each["label"]) for each in row.buttons),
            ),
        )

    @admin.display(description=gettext_lazy("expression"))
    def expression_code(self, row: Schedule) -> str:
        return code(row.expression)

    @admin.display(description=gettext_lazy("arguments"))
    def shown_args(self, row: Schedule) -> str:
        return json_block(row.args)

    @admin.display(description=gettext_lazy("keyword arguments"))
    def shown_kwargs(self, row: Schedule) -> str:
        return json_block(row.kwargs)

    @admin.display(description=gettext_lazy("options"))
    def shown_options(self, row: Schedule) -> str:
        return json_block(row.options)


def is_operators(row: Schedule | None) -> bool:
    """Return whether a schedule may be changed by hand, as far as that depends on its origin."""
    return row is None or (row.origin == ScheduleOrigin.ADMIN and is_known(row))


def is_known(row: Schedule | None) -> bool:
    """Return whether the backend of a schedule is still in TASKS."""
    return row is not None and row.backend in backend_aliases()
