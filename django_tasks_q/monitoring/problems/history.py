"""The history: many jobs fail, or results are kept for too long."""

from collections.abc import Iterator

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from ...lifecycle import ResultStatus
from ...models import Result
from ..formatting import duration_text
from ..hints import prune
from ..statistics import total, usual_failure_rate
from .base import Severity, Situation, Subject, Trouble

__all__ = ["failures", "unpruned"]

# When the failures of the last ten minutes are many: this number, this share, and this many times the previous share.
MANY_FAILURES, GREAT_SHARE, TIMES = 5, 0.05, 3.0
# How much later than it should a result may be pruned, in seconds.
PRUNING_SLACK = 86_400.0


def failures(situation: Situation) -> Iterator[Trouble]:
    recent = total(situation.hour[-10:])
    share = recent.failure_rate or 0.0
    if recent.failed < MANY_FAILURES or share < GREAT_SHARE:
        return
    if share > TIMES * usual_failure_rate(situation.hour[-10].at, situation.backend):
        yield Trouble(
            "failures",
            Severity.CRITICAL,
            Subject.RESULT,
            _("%(number)s jobs failed in the last ten minutes: %(share)s of those that finished.")
            % {"number": f"{recent.failed:,}", "share": f"{share:.0%}"},
            _("Look at the newest failures; retry them when the cause is fixed."),
        )


def unpruned(situation: Situation) -> Iterator[Trouble]:
    options, now = situation.broker.options, situation.broker.dialect.now()
    for status in (ResultStatus.SUCCESSFUL, ResultStatus.FAILED):
        ttl = options.ttl(status)
        rows: QuerySet[Result] = Result.objects.using(situation.broker.using).filter(status=status)
        oldest = rows.order_by("finished_at").values_list("backend", "finished_at").first()
        if ttl is None or oldest is None or oldest[0] != situation.backend:
            continue
        age = (now - oldest[1]).total_seconds()
        if age > ttl + PRUNING_SLACK:
            yield Trouble(
                "unpruned",
                Severity.WARNING,
                Subject.RESULT,
                _("Results are not being pruned: the oldest finished %(age)s ago, and should be kept for %(ttl)s.")
                % {"age": duration_text(age), "ttl": duration_text(ttl)},
                _("Workers prune automatically: check whether one is running. Prune a large backlog by hand."),
                prune(situation.backend),
            )
            return
