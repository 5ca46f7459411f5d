"""What tests need: jobs that run in the test's own thread, assertions, a clock, and a real worker.

Everything here runs the real code: what is refused, retried, cancelled or rolled back in production is so in a test.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assertions import (
        aassert_enqueued,
        aassert_not_enqueued,
        aenqueued_jobs,
        assert_enqueued,
        assert_not_enqueued,
        enqueued_jobs,
    )
    from .backends import ImmediateBackend, RecordingBackend
    from .cases import EnqueuedMixin, TasksQ
    from .clock import Clock, travel
    from .contexts import make_context
    from .firing import fire_schedules
    from .running import arun_jobs, run_jobs
    from .workers import RunningWorker, worker

__all__ = [
    "Clock",
    "EnqueuedMixin",
    "ImmediateBackend",
    "RecordingBackend",
    "RunningWorker",
    "TasksQ",
    "aassert_enqueued",
    "aassert_not_enqueued",
    "aenqueued_jobs",
    "arun_jobs",
    "assert_enqueued",
    "assert_not_enqueued",
    "enqueued_jobs",
    "fire_schedules",
    "make_context",
    "run_jobs",
    "travel",
    "worker",
]

# Imported when they are asked for: the settings may name a backend of these, and then models cannot be imported yet.
_MODULES = {
    "assertions": (
        "aassert_enqueued",
        "aassert_not_enqueued",
        "aenqueued_jobs",
        "assert_enqueued",
        "assert_not_enqueued",
        "enqueued_jobs",
    ),
    "backends": ("ImmediateBackend", "RecordingBackend"),
    "cases": ("EnqueuedMixin", "TasksQ"),
    "clock": ("Clock", "travel"),
    "contexts": ("make_context",),
    "firing": ("fire_schedules",),
    "running": ("arun_jobs", "run_jobs"),
    "workers": ("RunningWorker", "worker"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
