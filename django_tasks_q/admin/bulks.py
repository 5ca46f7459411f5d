"""What can be done to many rows at once: the verbs, and how each is asked about."""

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ..control.jobs import CANCELLABLE
from ..lifecycle import JobStatus, WorkerStatus
from .actions import CANCEL, DELETE, DRAIN, RETRY, RUN_NOW, STOP, moved
from .batches import Bulk
from .forms import MoveForm

__all__ = ["ALIVE", "CANCEL_MANY", "DELETE_MANY", "DRAIN_MANY", "MOVE_MANY", "RETRY_MANY", "RUN_MANY_NOW", "STOP_MANY"]

ALIVE = (WorkerStatus.ONLINE, WorkerStatus.DRAINING)

CANCEL_MANY = Bulk(
    name="cancel",
    title=_("Cancel jobs"),
    question=ngettext_lazy("Cancel %(count)s job?", "Cancel %(count)s jobs?", "number"),
    warning=_("What runs already is asked to stop."),
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
    warning=_("What is left empty stays as it is. What runs already stays where it is."),
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
        "Delete %(count)s result? It cannot be looked at or retried afterwards.",
        "Delete %(count)s results? They cannot be looked at or retried afterwards.",
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
    warning=_("It takes no more jobs and ends when those that it runs have."),
    make=lambda given: DRAIN,
    moment="started_at",
    eligible=ALIVE,
    asks=True,
)
STOP_MANY = Bulk(
    name="stop",
    title=_("Stop workers"),
    question=ngettext_lazy("Stop %(count)s worker now?", "Stop %(count)s workers now?", "number"),
    warning=_("What it runs goes back to its queue and begins anew elsewhere."),
    make=lambda given: STOP,
    moment="started_at",
    eligible=ALIVE,
    asks=True,
    dangerous=True,
)
