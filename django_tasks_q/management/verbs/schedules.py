from datetime import datetime
from typing import ClassVar

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from ...control import schedules
from ...discovery import import_tasks
from ...exceptions import InvalidSchedule, ScheduleNotFound
from ...models import Schedule
from ...monitoring.schedules import RunRecord, find_schedule, list_schedules, next_runs, runs, state, words
from ...schedules.definitions import Definition
from ...schedules.migrating import synchronise_declared
from ..terminal import block, line, moment, pairs, table, to_count
from .base import Answer, Arguments, Verb, add_common, end_with_help
from .importing import Import
from .switches import Switch

__all__ = ["Schedules"]

HEADERS = ("Name", "State", "When", "Task", "Next run", "Last run", ">Runs")
RUN_HEADERS = ("Slot", "Status", "Job", "Job's status", "Reason")
SHOWN_RUNS = 10


class List(Verb):
    name = "list"
    help = "List the schedules, and when each runs next."

    def run(self, backend: str, given: Arguments) -> Answer:
        rows = list_schedules(backend)
        text = table(HEADERS, [_row(row) for row in rows]) if rows else "No schedules found."
        return Answer([_document(row) for row in rows], text)


class Show(Verb):
    name = "show"
    help = "Show everything about one schedule, and what happened to its last slots."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="The name of a schedule.")

    def run(self, backend: str, given: Arguments) -> Answer:
        row = find_schedule(given["name"], backend)
        records = runs(row, SHOWN_RUNS)
        parts = [pairs(_facts(row))]
        if records:
            parts.append("Last slots\n" + block(table(RUN_HEADERS, [_run(record) for record in records])))
        document = _document(row) | {"runs": [_run_document(record) for record in records]}
        return Answer(document, "\n\n".join(parts))


class Next(Show):
    name = "next"
    help = "Show when a schedule runs next, in its own time zone and in the project's."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--count", type=to_count, default=10, metavar="N", help="This many times (default: 10).")

    def run(self, backend: str, given: Arguments) -> Answer:
        row = find_schedule(given["name"], backend)
        found = next_runs(row, given["count"])
        shown = [(slot.isoformat(" ", "seconds"), moment(_of_project(slot))) for slot in found]
        headers = (row.timezone, timezone.get_default_timezone_name())
        return Answer(found, table(headers, shown) if found else "It does not run again.")


class Run(Show):
    name = "run"
    help = "Enqueue a schedule's job now, in addition to its slots, even if it is paused."

    def run(self, backend: str, given: Arguments) -> Answer:
        job_id = schedules.run_now(given["name"], backend=backend)
        return Answer({"job": job_id}, f"Enqueued {job_id}.")


class ScheduleSwitch(Switch):
    kind: ClassVar[str] = "schedule"
    metavar: ClassVar[str] = "NAME"


class Pause(ScheduleSwitch):
    name = "pause"
    help = "Keep schedules from enqueueing jobs until they are resumed."
    switch = staticmethod(schedules.pause)
    done = "paused"
    before = "was paused already"


class Resume(ScheduleSwitch):
    name = "resume"
    help = "Let schedules run again, from their next slot on."
    switch = staticmethod(schedules.resume)
    done = "resumed"
    before = "was not paused"


class Sync(Verb):
    name = "sync"
    help = "Synchronise the schedules with what this release's code and settings declare, as migrate does."

    def run(self, backend: str, given: Arguments) -> Answer:
        looked_at = import_tasks()
        done = synchronise_declared(backend, looked_at)
        document = {name: list(getattr(done, name)) for name in ("added", "changed", "removed")}
        lines = [f"{title.capitalize()}: {line(', '.join(names))}" for title, names in document.items() if names]
        lines = lines or ["Already in sync."]
        lines.append(f"Looked at: {line(', '.join([*looked_at.imported, 'the settings']))}")
        if looked_at.failed:
            lines.append(f"Could not be imported, so nothing was removed: {line(', '.join(looked_at.failed))}")
        document |= {"looked_at": list(looked_at.imported), "failed": list(looked_at.failed)}
        return Answer(document, "\n".join(lines), looked_at.complete)


ACTIONS: tuple[type[Verb], ...] = (List, Show, Next, Run, Pause, Resume, Sync, Import)


class Schedules(Verb):
    name = "schedules"
    help = "Show the schedules of periodic jobs, and act on them."

    def add_arguments(self, parser: CommandParser) -> None:
        self.actions: dict[str, Verb] = {}
        parsers = parser.add_subparsers(dest="action", metavar="ACTION")
        for action in ACTIONS:
            subparser = parsers.add_parser(action.name, help=action.help, description=action.help)
            add_common(subparser)
            self.actions[action.name] = action(subparser)

    def run(self, backend: str, given: Arguments) -> Answer:
        if given["action"] is None:
            end_with_help(self.parser)
        try:
            return self.actions[given["action"]].run(backend, given)
        except (InvalidSchedule, ScheduleNotFound) as error:
            raise CommandError(line(error)) from None


def _row(row: Schedule) -> tuple[object, ...]:
    next_run, last_run = moment(row.next_run_at) or "-", moment(row.last_run_at) or "-"
    return (row.name, state(row).value, words(row), row.task_path, next_run, last_run, row.total_runs)


def _document(row: Schedule) -> dict[str, object]:
    values = {item.attname: getattr(row, item.attname) for item in row._meta.concrete_fields}
    hidden = {"declaration", "former_declaration"}
    shown = {name: value for name, value in values.items() if name not in hidden}
    return shown | {"state": state(row).value, "words": words(row)}


def _facts(row: Schedule) -> list[tuple[str, object]]:
    definition = Definition.of_row(row)
    return [
        ("Name", row.name),
        ("State", state(row).value),
        ("Reason", row.reason),
        ("When", words(row)),
        ("Kind", f"{row.kind}: {row.expression}"),
        ("Time zone", row.timezone),
        ("Task", row.task_path),
        ("Arguments", definition.args or None),
        ("Keyword arguments", definition.kwargs or None),
        ("Options", definition.options or None),
        ("Queue", row.queue_name or "the task's"),
        ("Priority", "the task's" if row.priority is None else row.priority),
        ("Origin", row.origin),
        ("Catch up", row.catch_up),
        ("Overlap", row.overlap),
        ("Start", moment(row.start_at)),
        ("End", moment(row.end_at)),
        ("Next run", moment(row.next_run_at)),
        ("Last run", moment(row.last_run_at)),
        ("Last job", row.last_job_id),
        ("Runs", row.total_runs if row.max_runs is None else f"{row.total_runs} of {row.max_runs}"),
        ("Description", row.description),
    ]


def _run(record: RunRecord) -> tuple[object, ...]:
    return (moment(record.slot), record.status, record.job_id or "-", record.job_status or "-", record.reason)


def _run_document(record: RunRecord) -> dict[str, object]:
    return {name: getattr(record, name) for name in RunRecord.__slots__}


def _of_project(slot: datetime) -> datetime:
    return slot.astimezone(timezone.get_default_timezone())
