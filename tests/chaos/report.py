"""What is shown of a run: its figures; and of a failed one, the shortest history of what went wrong."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from .checker import Violation
from .history import COMMITTED, ROLLED_BACK, UNKNOWN, Event, History
from .run import Outcome, Plan

__all__ = ["figures", "near", "show", "story"]

# Of the offending jobs, and of the events near each.
MOST_STORIES, MOST_EVENTS, NEAR = 5, 30, 10.0


def figures(plan: Plan, outcome: Outcome, violations: list[Violation]) -> dict[str, Any]:
    """Return what a run comes to."""
    history = outcome.history
    fates = Counter(call.fate for call in history.calls.values())
    kinds = Counter(violation.kind for violation in violations)
    done = [record for record in history.records if not record.live]
    return {
        "database": plan.database,
        "seed": plan.seed,
        "seconds": plan.seconds,
        "jobs meant": len(history.calls),
        "committed": fates[COMMITTED],
        "rolled back": fates[ROLLED_BACK],
        "unknown to the producer": fates[UNKNOWN],
        "jobs finished": len(done),
        "enqueued/s": round(fates[COMMITTED] / plan.seconds, 1),
        "effects": len(history.runs),
        "runs lost with their process": sum(record.losses for record in done),
        "failures that were retried": sum(record.failures - (record.status == "FAILED") for record in done),
        "jobs lost": kinds["lost"] + kinds["unfinished"],
        "double completions": kinds["recorded once"] + kinds["recorded by its own run"],
        "other broken promises": sum(kinds.values())
        - sum(kinds[kind] for kind in ("lost", "unfinished", "recorded once", "recorded by its own run")),
        **outcome.figures,
        "faults": sum(outcome.struck.values()),
        **{f"- {kind}": count for kind, count in sorted(outcome.struck.items())},
        "troubles of the workers": len(outcome.troubles),
        **{f"- {kind}": f"left out: {reason}" for kind, reason in outcome.left_out.items()},
    }


def show(title: str, found: dict[str, Any]) -> None:
    """Print a table."""
    if not find_spec("rich"):
        width = max(map(len, found))
        sys.stdout.write(
            "\n".join([title, *(f"  {name:{width}}  {_text(value)}" for name, value in found.items()), ""])
        )
        return
    table = import_module("rich.table").Table(title=title, title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right", overflow="fold")
    for name, value in found.items():
        table.add_row(name, _text(value))
    import_module("rich.console").Console().print(table)


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def story(history: History, violations: list[Violation], logs: Path) -> Iterator[str]:
    """Yield the lines that tell how the first promises were broken: what was meant, done, recorded, logged, struck."""
    by_key: dict[str, list[Violation]] = {}
    for violation in violations:
        by_key.setdefault(violation.key, []).append(violation)
    # Those first that say most with least.
    keys = sorted(by_key, key=lambda key: (len(list(_rows(history, key))), key))
    for key in keys[:MOST_STORIES]:
        yield f"\n{key}"
        yield from (f"  ! {found.kind}: {found.text}" for found in by_key[key])
        yield from _rows(history, key)
        yield from _log_lines(history, key, logs)
        yield from _near(history, key)
    if len(keys) > MOST_STORIES:
        yield f"\nand {len(keys) - MOST_STORIES} more"


def _rows(history: History, key: str) -> Iterator[str]:
    if call := history.settled().get(key):
        yield f"  meant    {json.dumps(asdict(call))}"
    yield from (f"  effect   {json.dumps(asdict(run))}" for run in history.runs if run.key == key)
    yield from (f"  row      {json.dumps(asdict(record))}" for record in history.records if record.key == key)


def _log_lines(history: History, key: str, logs: Path) -> Iterator[str]:
    ids = {record.job_id for record in history.records if record.key == key}
    ids |= {run.job_id for run in history.runs if run.key == key}
    for path in sorted(logs.glob("worker-*.log")):
        for line in path.read_text(errors="replace").splitlines():
            if any(job_id in line for job_id in ids):
                yield f"  {path.name}: {line}"


def near(outcome: Outcome) -> Iterator[str]:
    """Yield what was done to the system around the first troubles of the workers."""
    for trouble in outcome.troubles[:MOST_STORIES]:
        yield f"\n{trouble}"
        found = [event for event in outcome.history.events if abs(event.at - trouble.at) <= NEAR]
        yield from (f"  {_event(event)}" for event in found[:MOST_EVENTS])


def _near(history: History, key: str) -> Iterator[str]:
    """Yield the events between the first and the last that is known of a job."""
    moments = [run.at for run in history.runs if run.key == key]
    moments += [call.at for call in [history.settled().get(key)] if call]
    if not moments:
        return
    first, last = min(moments) - 1.0, max(moments) + NEAR
    near = [event for event in history.events if first <= event.at <= last]
    yield from (f"  {_event(event)}" for event in near[:MOST_EVENTS])


def _event(event: Event) -> str:
    return f"{event.at:.3f} {event.kind} {event.what}".rstrip()
