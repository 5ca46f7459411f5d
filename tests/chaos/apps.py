import os
import select
from typing import Any

from django.apps import AppConfig
from django.utils.module_loading import import_string

from .kinds import SLOW_RECEIVER

__all__ = ["ChaosConfig"]


class ChaosConfig(AppConfig):
    """The tables of the runs; and where CHAOS_MUTATION is set, a deliberate mistake in the package."""

    name = "tests.chaos"

    def ready(self) -> None:
        if mutation := os.environ.get("CHAOS_MUTATION"):
            import_string(f"tests.chaos.mutations.{mutation}")()
        if os.environ.get(SLOW_RECEIVER):
            import_string("django_tasks_q.compat.task_finished").connect(_take_a_millisecond)


def _take_a_millisecond(**given: Any) -> None:
    # Not time.sleep(): see tasks.py.
    select.select([], [], [], 0.001)
