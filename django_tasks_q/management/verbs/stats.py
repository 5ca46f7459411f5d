from dataclasses import fields

from ...monitoring.counts import Count, plain, result_counts
from ...monitoring.queues import QueueStats, queue_stats
from ..terminal import ago, table
from .base import Answer, Arguments, Verb

__all__ = ["Stats"]

HEADERS = ("Queue", "Paused", ">Ready", ">Scheduled", ">Waiting", ">Running", ">Oldest ready", ">Workers")


class Stats(Verb):
    name = "stats"
    help = "Show each queue, and how many results there are of each status."

    def run(self, backend: str, given: Arguments) -> Answer:
        queues, results = queue_stats(backend), result_counts(backend)
        document = {
            "backend": backend,
            "queues": [plain(_values(queue)) for queue in queues],
            "results": plain(results),
        }
        return Answer(document, f"{_queue_table(queues)}\n\n{_result_table(results)}")


def _values(queue: QueueStats) -> dict[str, object]:
    return {field.name: getattr(queue, field.name) for field in fields(queue)}


def _queue_table(queues: list[QueueStats]) -> str:
    if not queues:
        return "No queue holds a job, and no worker listens to one by name."
    return table(HEADERS, [_row(queue) for queue in queues])


def _row(queue: QueueStats) -> tuple[object, ...]:
    return (
        queue.name,
        "yes" if queue.paused else "no",
        queue.ready,
        queue.scheduled,
        queue.waiting,
        queue.running,
        ago(queue.oldest_ready_seconds) or "-",
        queue.workers,
    )


def _result_table(results: dict[str, Count]) -> str:
    return table(("Results", ">Number"), results.items())
