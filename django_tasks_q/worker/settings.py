from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["WorkerSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """A worker's settings from the command line. Times are seconds, sizes bytes; no queues means all."""

    backend: str
    name: str
    queues: Sequence[str] = ()
    excluded_queues: Sequence[str] = ()
    concurrency: int = 1
    burst: bool = False
    scheduler: bool = True
    max_tasks_per_child: int | None = None
    max_memory_per_child: int | None = None
    shutdown_timeout: float = 25.0
    heartbeat_file: str | None = None
