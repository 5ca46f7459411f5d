"""The few numbers at the top of the dashboard."""

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from ...lifecycle import JobStatus, ResultStatus
from ...models import Job, Result, Worker
from ...monitoring.problems import Situation, Subject
from ...monitoring.statistics import total
from ..display import NOTHING, counted, duration, number, percent
from .viewer import Viewer

__all__ = ["share_text", "tiles"]


def tiles(viewer: Viewer, situation: Situation) -> list[dict[str, object]]:
    """Return the few numbers at the top."""
    found: list[dict[str, object]] = []
    if viewer.may_see(Subject.QUEUE):
        for status, label in (
            (JobStatus.READY, _("Ready")),
            (JobStatus.RUNNING, _("Running")),
            (JobStatus.SCHEDULED, _("Scheduled")),
        ):
            counts = [getattr(queue, status.lower()) for queue in situation.queues]
            value = counted(sum(counts[1:], counts[0])) if counts else "0"
            found.append({"label": label, "value": value, "url": viewer.url(Job, status=status)})
    if viewer.may_see(Subject.WORKER):
        slots = sum(worker.concurrency for worker in situation.alive)
        busy = _("%(busy)d of %(slots)d busy") % {
            "busy": sum(worker.running for worker in situation.alive),
            "slots": slots,
        }
        url = viewer.url(Worker)
        found.append({"label": _("Workers"), "value": number(len(situation.alive)), "note": busy, "url": url})
    if viewer.may_see(Subject.RESULT):
        found += _results(viewer, situation)
    return found


def _results(viewer: Viewer, situation: Situation) -> list[dict[str, object]]:
    hour, lately = total(situation.hour), total(situation.hour[-6:-1])
    rate = hour.failure_rate
    return [
        {
            "label": _("Finished per minute"),
            "value": number_format(f"{lately.finished / 5:.3g}")
            if lately.finished < 5_000
            else number(lately.finished // 5),
            "note": _("%s in the last hour") % number(hour.finished),
            "url": viewer.url(Result),
        },
        {
            "label": _("Failed in the last hour"),
            "value": number(hour.failed),
            "note": share_text(rate),
            "url": viewer.url(Result, status=ResultStatus.FAILED),
            "is_bad": bool(hour.failed),
        },
        {"label": _("Wait time"), "value": duration(hour.wait_time(0.95)), "note": _("p95 of the last hour")},
    ]


def share_text(rate: float | None) -> str:
    if rate is None:
        return NOTHING
    return percent(rate) if not rate or rate >= 0.001 else _("less than 0.1%")
