"""Bulk actions: the verbs, and the question that confirms each."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ...control.jobs import CANCELLABLE
from ...lifecycle import ALIVE, JobStatus
from ..forms import MoveForm
from .steps import Bulk
from .verbs import CANCEL, DELETE, DRAIN, RETRY, RUN_NOW, STOP, moved

__all__ = ["CANCEL_MANY", "DELETE_MANY", "DRAIN_MANY", "MOVE_MANY", "RETRY_MANY", "RUN_MANY_NOW", "STOP_MANY"]


CANCEL_MANY = Bulk(
    name="cancel",
    title=_("Cancel jobs"),
    question=ngettext_lazy("Cancel %(count)s job?", "Cancel %(count)s jobs?", "number"),
    warning=_("Running jobs are asked to stop."),
    make=lambda given: CANCEL,
    moment="enqueued_at",
    dangerous=True,
)
RUN_MANY_NOW = Bulk(
    name="run_now",
    title=_("Run now"),
    question=ngettext_lazy(
        "Run %(count)s scheduled job now?", "Run %(count)s scheduled jobs now, before their time?", "number"
    ),
    make=lambda given: RUN_NOW,
    moment="enqueued_at",
    eligible=(JobStatus.SCHEDULED,),
)
MOVE_MANY = Bulk(
    name="move",
    title=_("Change queue or priority"),
    question=ngettext_lazy("Move %(count)s job?", "Move %(count)s jobs?", "number"),
    warning=_("Fields left empty stay unchanged. Running jobs are not moved."),
    make=lambda given: moved(given["queue"], given["priority"]),
    moment="enqueued_at",
    eligible=CANCELLABLE,
    form=MoveForm,
    asks=True,
)
RETRY_MANY = Bulk(
    name="retry",
    title=_("Retry results"),
    question=ngettext_lazy("Retry %(count)s result?", "Retry %(count)s results?", "number"),
    make=lambda given: RETRY,
    moment="finished_at",
)
DELETE_MANY = Bulk(
    name="delete_selected",
    title=_("Delete results"),
    question=ngettext_lazy(
        "Delete %(count)s result? It cannot be viewed or retried afterwards.",
        "Delete %(count)s results? They cannot be viewed or retried afterwards.",
        "number",
    ),
    make=lambda given: DELETE,
    moment="finished_at",
    asks=True,
    dangerous=True,
)
DRAIN_MANY = Bulk(
    name="drain",
    title=_("Drain workers"),
    question=ngettext_lazy("Drain %(count)s worker?", "Drain %(count)s workers?", "number"),
    warning=_("It takes no more jobs and exits when its running jobs have finished."),
    make=lambda given: DRAIN,
    moment="started_at",
    eligible=ALIVE,
    asks=True,
)
STOP_MANY = Bulk(
    name="stop",
    title=_("Stop workers"),
    question=ngettext_lazy("Stop %(count)s worker now?", "Stop %(count)s workers now?", "number"),
    warning=_("Its running jobs go back to their queues and start over on other workers."),
    make=lambda given: STOP,
    moment="started_at",
    eligible=ALIVE,
    asks=True,
    dangerous=True,
)
