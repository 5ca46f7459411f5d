from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from ...control.workers import drain, stop
from ...exceptions import WorkerNotFound
from ...monitoring.workers import WorkerState, health, workers
from ..terminal import ago, counted, line, name_list, size, table, to_duration
from .base import Answer, Verb

__all__ = ["Health", "Workers"]

HEADERS = (
    "Worker", "Host", ">PID", "Status", "Queues", ">Concurrency", ">Running", ">Finished", ">Memory", ">Heartbeat",
)  # fmt: skip
DEEDS = {"drain": drain, "stop": stop}


class Workers(Verb):
    name = "workers"
    help = "Show the workers, and which of them have stopped reporting; or have some of them end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", choices=DEEDS, help="Drain: when their jobs have; stop: now.")
        parser.add_argument("ids", nargs="*", metavar="ID", help="With drain or stop: the ids of workers.")
        parser.add_argument("--all", action="store_true", help="Also those that have stopped or were lost.")

    def run(self, backend: str, given: dict[str, Any]) -> Answer:
        if given["act"] is not None:
            return self._ask(backend, given["act"], given["ids"])
        found = [worker for worker in workers(backend) if given["all"] or worker.alive or worker.stale]
        text = table(HEADERS, [_row(worker) for worker in found]) if found else "There are none."
        return Answer([asdict(worker) for worker in found], text)

    def _ask(self, backend: str, deed: str, ids: list[str]) -> Answer:
        """Ask workers to end. It is all right only where each of them runs, and had not been asked before."""
        if not ids:
            self.refuse(f"{deed} needs the ids of workers")
        asked, refused = [], {}
        for worker_id in dict.fromkeys(ids):
            try:
                done = DEEDS[deed](worker_id, backend=backend)
            except WorkerNotFound as error:
                refused[worker_id] = str(error)
            else:
                asked += [worker_id] if done else []
                refused |= {} if done else {worker_id: f"{worker_id} has been asked to end already."}
        lines = [f"{worker_id} has been asked to {deed}: it does with its next heartbeat." for worker_id in asked]
        lines += [f"Not asked: {why}" for why in refused.values()]
        document = {"asked": asked, "refused": [{"id": name, "why": why} for name, why in refused.items()]}
        return Answer(document, "\n".join(map(line, lines)), ok=bool(asked) and not refused)


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
