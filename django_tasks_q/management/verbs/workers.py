from collections.abc import Sequence
from dataclasses import asdict

from django.core.management.base import CommandParser

from ...control.workers import drain, stop
from ...exceptions import WorkerNotFound
from ...lifecycle import ALIVE
from ...monitoring.health import Health as State
from ...monitoring.health import WorkerState, health, worker_health, workers
from ..backends import find_backend
from ..terminal import ago, counted, line, name_list, size, table, to_duration
from .base import Answer, Arguments, Verb

__all__ = ["Health", "Workers"]

HEADERS = (
    "Worker", "Host", ">PID", "Status", "Queues", ">Concurrency", ">Running", ">Finished", ">Memory", ">Heartbeat",
)  # fmt: skip
# Characters of an id after its name, with the hyphen between them.
SHORTEST_BEGINNING = 5
REQUESTS = {"drain": drain, "stop": stop}


class Workers(Verb):
    name = "workers"
    help = "Show the workers, and which of them have stopped reporting; or ask some of them to exit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", nargs="?", choices=REQUESTS, help="Drain: when their jobs have; stop: now.")
        parser.add_argument(
            "ids", nargs="*", metavar="ID", help="With drain or stop: the ids of workers, or a name that only one has."
        )
        parser.add_argument("--all", action="store_true", help="Also those that have stopped or were lost.")

    def run(self, backend: str, given: Arguments) -> Answer:
        if given["act"] is not None:
            return self._ask(backend, given["act"], given["ids"])
        found = [worker for worker in workers(backend) if given["all"] or worker.alive or worker.stale]
        text = table(HEADERS, [_row(worker) for worker in found]) if found else "No workers found."
        return Answer([asdict(worker) for worker in found], text)

    def _ask(self, backend: str, request: str, ids: list[str]) -> Answer:
        """Ask workers to exit. It succeeds only if each is running, and had not been asked before."""
        if not ids:
            self.refuse(f"{request} needs the ids of workers")
        asked, refused = [], {}
        online = [worker for worker in workers(backend) if worker.status in ALIVE]
        for worker_id in dict.fromkeys(_id_of(word, online) for word in ids):
            try:
                done = REQUESTS[request](worker_id, backend=backend)
            except WorkerNotFound as error:
                refused[worker_id] = str(error)
            else:
                asked += [worker_id] if done else []
                refused |= {} if done else {worker_id: f"{worker_id} has been asked to end already."}
        lines = [f"{worker_id} has been asked to {request}: it will at its next heartbeat." for worker_id in asked]
        lines += [f"Not asked: {why}" for why in refused.values()]
        document = {"asked": asked, "refused": [{"id": name, "why": why} for name, why in refused.items()]}
        return Answer(document, "\n".join(map(line, lines)), ok=bool(asked) and not refused)


def _id_of(word: str, online: Sequence[WorkerState]) -> str:
    """Return the id of the only worker with this name or beginning; the word itself if there is none, or several."""
    meant = [worker.id for worker in online if worker.is_called(word)]
    meant = meant or [worker.id for worker in online if _begins(worker.id, word)]
    return meant[0] if len(meant) == 1 else word


def _begins(worker_id: str, word: str) -> bool:
    """Return whether an id begins with this: with its name and enough more, or it might be the name of another one."""
    name = worker_id.rpartition("-")[0]
    return worker_id.startswith(word) and len(word) >= len(name) + SHORTEST_BEGINNING


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
    help = "Report whether jobs are being run, and if not, why and what to do. For probes: the exit code is 0 or 1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--worker", metavar="ID", help="Look only at one worker: its id, or the --name it was started with."
        )
        parser.add_argument(
            "--queues", metavar="A,B", help="Look only at these queues, and at the workers that listen to them."
        )
        parser.add_argument(
            "--max-age",
            type=to_duration,
            metavar="TIME",
            help="How long a job may be due without being started: seconds, 30s, 5m, 1h (default: no limit).",
        )

    def run(self, backend: str, given: Arguments) -> Answer:
        state = self._look(backend, given["worker"], given["queues"], given["max_age"])
        alive = f"{counted(state.workers or 0, 'worker')} alive."
        document = {"ok": state.ok, "workers": state.workers, "problems": state.problems}
        return Answer(document, f"Healthy: {alive}" if state.ok else "\n".join(state.problems), state.ok)

    def _look(self, backend: str, worker: str | None, queues: str | None, max_age: float | None) -> State:
        if worker is not None:
            if queues is not None or max_age is not None:
                self.refuse("--worker looks at one worker alone: leave out --queues and --max-age")
            return worker_health(worker, backend)
        return health(backend, max_age=max_age, queues=() if queues is None else self._names(backend, queues))

    def _names(self, backend: str, text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        if not names:
            self.refuse("--queues needs the name of at least one queue")
        for name in names:
            if refusal := find_backend(backend).refusal_of_queue(name):
                self.refuse(line(refusal))
        return names
