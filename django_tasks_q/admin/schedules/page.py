from collections.abc import Iterable
from datetime import tzinfo
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms.widgets import Script
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...control import schedules
from ...exceptions import InvalidSchedule, ScheduleNotFound
from ...lifecycle import ScheduleOrigin
from ...models import Job, Schedule
from ...monitoring.schedules import ScheduleState, state
from ..backends import backend_aliases
from ..base import Button, Deletion, Fieldsets
from ..display import link, storable
from ..lists.filters import BackendFilter
from .columns import ScheduleColumns, is_known, is_operators
from .display import next_run, past_runs, state_of, words
from .filters import KindFilter, OriginFilter, ScheduledTaskFilter, StateFilter
from .form import FIELDSETS, ScheduleForm
from .lists import ScheduleChangeList, note_last_jobs
from .previews import Preview, preview_form, preview_row, viewer_zone
from .verbs import PAUSE, RESUME, RUN, Verb, load, perform

__all__ = ["ScheduleAdmin"]

VIEWER_ZONE = "_viewer_zone"
# An attribute of a request: why its form could not be saved.
REFUSAL = "_tasksq_refusal"
FRAGMENT = "admin/django_tasks_q/schedule/preview.html"


class ScheduleAdmin(ScheduleColumns):
    """The schedules. Those from code and settings can be run, paused and resumed; an operator's also changed."""

    ordering = ("name", "pk")
    form = ScheduleForm
    list_filter = (StateFilter, OriginFilter, KindFilter, ScheduledTaskFilter, BackendFilter)
    search_fields = ("name", "task_path", "description")
    search_help_text = gettext_lazy("Part of the name, the description or the task path.")
    actions = ("run_now", "pause", "resume", "delete_selected")

    class Media:
        js = [Script("django_tasks_q/schedule.js", type="module")]

    # what may be done

    def has_add_permission(self, request: HttpRequest) -> bool:
        return BaseModelAdmin.has_add_permission(self, request) and self.has_view_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        return is_operators(obj) and BaseModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Schedule | None = None) -> bool:
        may = BaseModelAdmin.has_delete_permission(self, request, obj) and self.has_view_permission(request)
        return is_operators(obj) and may

    def has_run_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.run_schedule")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("django_tasks_q.pause_schedule")

    # run, pause, resume

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        view = partial(wrap, cacheable=False)
        return [
            path("preview/", view(self.preview_view), name="django_tasks_q_schedule_preview_new"),
            path("<path:object_id>/preview/", view(self.preview_view), name="django_tasks_q_schedule_preview"),
            path("<path:object_id>/run/", view(self.run_view), name="django_tasks_q_schedule_run"),
            path("<path:object_id>/pause/", view(self.pause_view), name="django_tasks_q_schedule_pause"),
            path("<path:object_id>/resume/", view(self.resume_view), name="django_tasks_q_schedule_resume"),
            *super().get_urls(),
        ]

    def run_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act(request, object_id, RUN, allowed=self.has_run_permission(request))

    def pause_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act(request, object_id, PAUSE, allowed=self.has_pause_permission(request))

    def resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return self._act(request, object_id, RESUME, allowed=self.has_pause_permission(request))

    def _act(self, request: HttpRequest, object_id: str, verb: Verb, *, allowed: bool) -> HttpResponse:
        if not allowed or not self.has_view_permission(request):
            raise PermissionDenied
        row = self.get_object(request, unquote(object_id))
        if row is not None and request.method == "POST":
            self._perform(request, verb, [row])
        if "from_list" in request.POST or row is None:
            filters = request.GET.get("_changelist_filters", "")
            return HttpResponseRedirect(f"{self.url(Schedule, 'changelist')}{'?' if filters else ''}{filters}")
        return HttpResponseRedirect(self.url(Schedule, "change", row.pk) or "")

    def _perform(self, request: HttpRequest, verb: Verb, rows: list[Schedule]) -> None:
        outcomes = perform(request, verb, rows)
        if verb is RUN and len(rows) == 1 and (job_id := outcomes.get(rows[0].pk)):
            url = self.url(Job, "change", str(job_id))
            messages.info(request, format_html(_("Its job: {}"), link(url, job_id)))

    @admin.action(permissions=["run"], description=gettext_lazy("Run selected schedules now"))
    def run_now(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        self._perform(request, RUN, load(request, queryset))

    @admin.action(permissions=["pause"], description=gettext_lazy("Pause selected schedules"))
    def pause(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        self._perform(request, PAUSE, load(request, queryset))

    @admin.action(permissions=["pause"], description=gettext_lazy("Resume selected schedules"))
    def resume(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        self._perform(request, RESUME, load(request, queryset))

    def buttons(self, request: HttpRequest, row: Schedule, filters: str = "") -> list[Button]:
        """Return this user's actions on a schedule: labels, and URLs to post to."""
        found: list[tuple[str, str]] = []
        if self.has_run_permission(request):
            found.append((_("Run now"), "run"))
        if self.has_pause_permission(request):
            found.append((_("Resume"), "resume") if row.paused else (_("Pause"), "pause"))
        query = f"?{filters}" if filters else ""
        return [{"label": label, "url": f"{self.url(Schedule, view, row.pk)}{query}"} for label, view in found]

    # save and delete

    def save_model(self, request: HttpRequest, obj: Schedule, form: object, change: bool) -> None:
        stored = schedules.save(obj)
        obj.pk, obj._state.adding, obj._state.db = stored.pk, False, stored._state.db

    def delete_model(self, request: HttpRequest, obj: Schedule) -> None:
        schedules.delete(obj.name, backend=obj.backend)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> None:
        for row in queryset:
            self.delete_model(request, row)

    @admin.action(permissions=["delete"], description=gettext_lazy("Delete selected schedules"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Schedule]) -> HttpResponse | None:
        """Delete operators' schedules, after confirmation."""
        deletable = queryset.filter(origin=ScheduleOrigin.ADMIN)
        if left := queryset.count() - deletable.count():
            text = ngettext(
                "%(count)d schedule was skipped: it is defined in the code or the settings.",
                "%(count)d schedules were skipped: they are defined in the code or the settings.",
                left,
            )
            messages.warning(request, text % {"count": left})
        return delete_selected(self, request, deletable) if deletable.exists() else None

    def get_deleted_objects(self, objs: Iterable[Schedule], request: HttpRequest) -> Deletion:
        # The records of its runs are deleted too, without a list of them; its jobs stay.
        rows = list(objs)
        return [storable(str(row)) for row in rows], {str(self.opts.verbose_name_plural): len(rows)}, set(), []

    # the form

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Schedule | None:
        row = super().get_object(request, object_id, from_field)
        note_last_jobs([row] if row else [])
        return row

    def get_changelist(self, request: HttpRequest, **kwargs: object) -> type[ScheduleChangeList]:
        return ScheduleChangeList

    def get_form(
        self, request: HttpRequest, obj: Schedule | None = None, change: bool = False, **kwargs: object
    ) -> Any:
        if not self._is_editable(request, obj):
            kwargs["form"] = forms.ModelForm
        form: Any = super().get_form(request, obj, change=change, **kwargs)
        form.refusal = getattr(request, REFUSAL, None)
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, object] | None = None,
    ) -> HttpResponse:
        """Show the form; and again, with the reason, if somebody else saved a change first."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except (InvalidSchedule, ScheduleNotFound) as error:
            setattr(request, REFUSAL, error)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def get_fieldsets(self, request: HttpRequest, obj: Schedule | None = None) -> Fieldsets:
        if self._is_editable(request, obj):
            return FIELDSETS
        backend = ("backend",) if len(backend_aliases()) > 1 else ()
        job = ("task_path", "shown_args", "shown_kwargs", "shown_options", "queue_name", "priority", *backend)
        limits = ("start_at", "end_at", "max_runs", "jitter", "expires_after")
        return [
            (None, {"fields": ["kind", "expression_code", "timezone", "description"]}),
            (_("The job"), {"fields": job}),
            (_("Policies"), {"fields": ["catch_up", "catch_up_window", "overlap"]}),
            (_("Limits"), {"fields": limits}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Schedule | None = None) -> list[str]:
        return [] if self._is_editable(request, obj) else super().get_readonly_fields(request, obj)

    def _is_editable(self, request: HttpRequest, obj: Schedule | None) -> bool:
        return self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Schedule | None = None,
    ) -> HttpResponse:
        form, zone = context["adminform"].form, viewer_zone(request.POST.get(VIEWER_ZONE, ""))
        context |= {
            "editable": isinstance(form, ScheduleForm),
            "preview": _preview(form, obj, zone),
            "preview_url": self.url(Schedule, *(("preview", obj.pk) if obj else ("preview_new",))),
        }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def details(self, request: HttpRequest, row: Schedule) -> dict[str, object]:
        return {
            "buttons": self.buttons(request, row),
            "stopped": state(row) in (ScheduleState.PAUSED, ScheduleState.DISABLED),
            "summary": [
                (_("state"), state_of(row)),
                (_("when"), words(row)),
                (_("next run"), next_run(row)),
                (_("last run"), self.last_run(row)),
                (_("runs"), row.total_runs),
                (_("origin"), self.shown_origin(row)),
            ],
            "runs": past_runs(row, lambda job_id: self.url(Job, "change", job_id)) if is_known(row) else [],
        }

    def preview_view(self, request: HttpRequest, object_id: str | None = None) -> HttpResponse:
        """Respond to a form with a preview of its schedule, as an HTML fragment."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row = self.get_object(request, unquote(object_id)) if object_id else None
        if object_id and row is None:
            raise Http404
        if not self._is_editable(request, row):
            raise PermissionDenied
        form = self.get_form(request, row, change=row is not None)(request.POST, instance=row)
        zone = viewer_zone(request.POST.get(VIEWER_ZONE, ""))
        return TemplateResponse(request, FRAGMENT, {"preview": preview_form(form, zone)})


def _preview(form: object, row: Schedule | None, zone: tzinfo) -> Preview | None:
    if isinstance(form, ScheduleForm):
        return preview_form(form, zone)
    return preview_row(row, zone) if row is not None and is_known(row) else None
