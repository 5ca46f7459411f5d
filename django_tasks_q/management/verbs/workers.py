from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ...monitoring.workers import WorkerState, health, workers
from ..terminal import ago, counted, name_list, size, table, to_duration
from .base import Answer, Verb

__all__ = ["Health", "Workers"]

HEADERS = (
    "Worker", "Host", ">PID", "Status", "Queues", ">Concurrency", ">Running", ">Finished", ">Memory", ">Heartbeat",
)  # fmt: skip


class Workers(Verb):
    name = "workers"
    help = "Show the workers, and which of them have stopped reporting."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="Also those that have stopped or were lost.")

    def run(self, backend: str, given: dict[str, Any]) -> Answer:
        found = [worker for worker in workers(backend) if given["all"] or worker.alive or worker.stale]
        text = table(HEADERS, [_row(worker) for worker in found]) if found else "There are none."
        return Answer([asdict(worker) for worker in found], text)


def _row(worker: WorkerState) -> tuple[object, ...]:
    return (
        worker.id,
        worker.host,
        worker.pid,
        f"{worker.status} (stale)" if worker.stale else worker.status,
        _listening(worker),
        worker.concurrency,
        worker.running,
        f"{worker.finished:,}",
        size(worker.memory),
        f"{ago(worker.heartbeat_age)} ago",
    )


def _listening(worker: WorkerState) -> str:
    named = name_list(worker.queues) or "all"
    return f"{named} but {name_list(worker.excluded_queues)}" if worker.excluded_queues else named


class Health(Verb):
    name = "health"
    help = "Say whether jobs are being run, and if not, why and what to do. For probes: the exit code is 0 or 1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--max-age",
            type=to_duration,
            metavar="TIME",
            help="How long a job may be due without being started: seconds, 30s, 5m, 1h (default: for ever).",
        )

    def run(self, backend: str, given: dict[str, Any]) -> Answer:
        state = health(backend, max_age=given["max_age"])
        alive = f"{counted(state.workers or 0, 'worker')} alive."
        document = {"ok": state.ok, "workers": state.workers, "problems": state.problems}
        return Answer(document, f"Healthy: {alive}" if state.ok else "\n".join(state.problems), state.ok)
