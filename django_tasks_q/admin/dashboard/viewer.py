"""Who looks at the dashboard: what this user may see, and where its links lead."""

from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.http import urlencode

from ...models import Job, Queue, Result, Schedule, Worker
from ...monitoring.problems import Subject
from ...monitoring.statistics import Span
from ..backends import BACKEND_VAR, backend_aliases
from ..base import Key

__all__ = ["MODELS", "SPAN_VAR", "Viewer"]

SPAN_VAR = "span"
MODELS: dict[Subject, type[Model]] = {
    Subject.JOB: Job,
    Subject.RESULT: Result,
    Subject.QUEUE: Queue,
    Subject.WORKER: Worker,
    Subject.SCHEDULE: Schedule,
}


class Viewer:
    """The user, the site, and the chosen backend."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.site = getattr(request, "current_app", None)
        aliases = backend_aliases()
        chosen = request.GET.get(BACKEND_VAR)
        self.several = len(aliases) > 1
        self.aliases = aliases
        self.backend = chosen if chosen in aliases else next(iter(aliases), "")
        span = request.GET.get(SPAN_VAR, "")
        self.span = Span(span) if span in list(Span) else Span.HOUR
        self.subjects = {subject for subject in Subject if request.user.has_perm(f"django_tasks_q.view_{subject}")}

    def may_see(self, subject: Subject) -> bool:
        return subject in self.subjects

    def url(self, model: type[Model], view: str = "changelist", *args: Key, **query: str) -> str | None:
        """Return the URL of a page, or None if the site has none or this user may not view it."""
        if not any(MODELS[subject] is model for subject in self.subjects):
            return None
        if self.several:
            query[BACKEND_VAR] = self.backend
        return self._reverse(f"{model._meta.app_label}_{model._meta.model_name}_{view}", *args, **query)

    def home(self, **query: str) -> str | None:
        """Return the URL of the dashboard, with the current choices."""
        chosen = {BACKEND_VAR: self.backend} if self.several else {}
        return self._reverse("app_list", "django_tasks_q", **{**chosen, SPAN_VAR: self.span} | query)

    def _reverse(self, name: str, *args: Key, **query: str) -> str | None:
        try:
            address = reverse(f"admin:{name}", args=args, current_app=self.site)
        except NoReverseMatch:
            return None
        return f"{address}?{urlencode(query)}" if query else address
