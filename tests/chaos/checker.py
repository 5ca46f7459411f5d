"""Proves from a history that nothing was lost and nothing finished twice, or says where it did.

A promise is a function that yields what breaks it, job by job.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from .history import COMMITTED, ROLLED_BACK, Call, History, Record, Run
from .kinds import ATOMIC, CANCELLED, DOOMED, EFFECTLESS
from .swarms import check_swarms

__all__ = ["Case", "Violation", "check", "overlooks"]

SUCCESSFUL, FAILED, UNDONE = "SUCCESSFUL", "FAILED", "CANCELLED"


@dataclass(frozen=True, slots=True)
class Violation:
    """One promise that was broken. kind: a short name of it. key: of the job."""

    kind: str
    key: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.key}: {self.text}"


@dataclass(slots=True)
class Case:
    """All that is known of one key. call: None if no producer knows it."""

    key: str
    call: Call | None = None
    # How many of its runs may be missing from its count.
    forgiven: int = 0
    # Whether somebody may have cancelled it.
    is_cancelled: bool = False
    records: list[Record] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)

    @property
    def result(self) -> Record | None:
        """The one record, if there is one and it is final."""
        return self.records[0] if len(self.records) == 1 and not self.records[0].live else None


def check(history: History) -> list[Violation]:
    """Return what is wrong, in the order of the keys; nothing where all promises were kept."""
    cases: defaultdict[str, Case] = defaultdict(lambda: Case(""))
    for key, call in history.settled().items():
        cases[key].call = call
    for record in history.records:
        cases[record.key].records.append(record)
    for run in history.runs:
        cases[run.key].runs.append(run)
    found = []
    for key in sorted(cases):
        forgiven = history.forgiven(cases[key].runs)
        case = replace(cases[key], key=key, forgiven=forgiven, is_cancelled=key in history.cancelled)
        found += [Violation(kind, key, text) for kind, promise in PROMISES.items() for text in promise(case)]
    return found + [Violation(*broken) for broken in check_swarms(history)]


def overlooks(history: History) -> list[str]:
    """Return the mistakes that the checker would not have found in this history, had they been made; [] is good."""
    done = [record for record in history.records if record.status == SUCCESSFUL and record.key in history.calls]
    if not done:
        return []
    one = done[len(done) // 2]
    others = [record for record in history.records if record is not one]
    mistakes = {
        "lost": others,
        "recorded once": [*history.records, replace(one, live=True)],
        "recorded by its own run": [*others, replace(one, run="another")],
        "counted": [*others, replace(one, attempt=one.attempt + 1)],
    }
    return [kind for kind, records in mistakes.items() if not _finds(replace(history, records=records), kind, one.key)]


def _finds(history: History, kind: str, key: str) -> bool:
    return any((found.kind, found.key) == (kind, key) for found in check(history))


# The promises. Each is a name and what breaks it.


def _is_known(case: Case) -> Iterator[str]:
    if case.call is None:
        yield f"nobody enqueued it, but there are {_count(case.records, 'row')} and {_count(case.runs, 'run')}"


def _is_there(case: Case) -> Iterator[str]:
    if case.records or case.call is None or case.call.fate == ROLLED_BACK:
        return
    if case.call.fate == COMMITTED:
        yield f"its transaction was committed, it ran {len(case.runs)} times, and there is no row of it"
    elif case.runs:
        yield "its producer does not know, but it has run, and there is no row of it"


def _is_finished(case: Case) -> Iterator[str]:
    for record in case.records:
        if record.live:
            yield f"it is still {record.status} (attempt {record.attempt}, worker {record.worker or 'none'})"


def _is_recorded_once(case: Case) -> Iterator[str]:
    if len(case.records) > 1:
        rows = ", ".join(f"{row.job_id} {row.status}{' (live)' if row.live else ''}" for row in case.records)
        yield f"there are {len(case.records)} rows of it: {rows}"


def _is_undone(case: Case) -> Iterator[str]:
    if case.call and case.call.fate == ROLLED_BACK and (case.records or case.runs):
        yield f"it was rolled back, but there are {_count(case.records, 'row')} and {_count(case.runs, 'run')}"


def _ends_as_allowed(case: Case) -> Iterator[str]:
    if case.call and (result := case.result):
        meant = FAILED if case.call.task in DOOMED else SUCCESSFUL
        if result.status == UNDONE and case.is_cancelled and case.call.task in CANCELLED:
            return
        if result.status != meant or (meant == FAILED and not result.error.endswith(".Doomed")):
            yield f"it is {result.status} with the error {result.error or 'none'!r}, and was to be {meant}"


def _has_effects(case: Case) -> Iterator[str]:
    """At least one of an ordinary task that has run to its end, exactly one or none of an atomic one."""
    if not (case.call and (result := case.result)):
        return
    if case.call.task in ATOMIC:
        meant = int(result.status == SUCCESSFUL)
        if len(case.runs) != meant:
            yield f"it is atomic and {result.status}: {len(case.runs)} effects, and not {meant}"
    elif not case.runs and case.call.task not in EFFECTLESS and result.status != UNDONE:
        yield f"it is {result.status} without an effect"


def _is_recorded_by_its_run(case: Case) -> Iterator[str]:
    """What is recorded is the end of the attempt that is recorded, and of the worker that is."""
    result = case.result
    if result is None or result.status != SUCCESSFUL:
        return
    recorded = next((run for run in case.runs if run.run == result.run), None)
    if recorded is None:
        yield f"it returned the run {result.run!r}, which has left no effect"
    elif recorded.attempt != result.attempt:
        yield f"attempt {recorded.attempt} has recorded its end as that of attempt {result.attempt}"
    elif not result.worker.startswith(recorded.worker):
        yield f"a run of {recorded.worker} is recorded as one of {result.worker}"


def _adds_up(case: Case) -> Iterator[str]:
    """Each run that is charged has ended in one way, and left at most one effect."""
    if (result := case.result) is None:
        return
    ended = result.failures + result.losses + (result.status == SUCCESSFUL)
    # What was cancelled may have run, or not.
    if result.status == UNDONE and result.attempt == ended + 1:
        ended += 1
    if result.attempt != ended:
        yield f"attempt {result.attempt} of {result.failures} failures, {result.losses} losses, {result.status}"
    if len(case.runs) > result.attempt + case.forgiven:
        yield f"{len(case.runs)} effects of {result.attempt} attempts"
    if len({run.run for run in case.runs}) != len(case.runs):
        yield "one run has left its effect twice"


def _is_intact(case: Case) -> Iterator[str]:
    if any(record.is_damaged for record in case.records):
        yield "it has returned another text than was stored"


def _count(items: Sequence[object], name: str) -> str:
    return f"{len(items)} {name}{'' if len(items) == 1 else 's'}"


PROMISES: dict[str, Callable[[Case], Iterator[str]]] = {
    "enqueued": _is_known,
    "lost": _is_there,
    "unfinished": _is_finished,
    "recorded once": _is_recorded_once,
    "rolled back": _is_undone,
    "ended as meant": _ends_as_allowed,
    "effects": _has_effects,
    "recorded by its own run": _is_recorded_by_its_run,
    "counted": _adds_up,
    "intact": _is_intact,
}
