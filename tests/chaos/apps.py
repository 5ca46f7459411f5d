import os

from django.apps import AppConfig
from django.utils.module_loading import import_string

__all__ = ["ChaosConfig"]


class ChaosConfig(AppConfig):
    """The tables of the runs; and where CHAOS_MUTATION is set, a deliberate mistake in the package."""

    name = "tests.chaos"

    def ready(self) -> None:
        if mutation := os.environ.get("CHAOS_MUTATION"):
            import_string(f"tests.chaos.mutations.{mutation}")()
