from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from ...monitor import watch

__all__ = ["Command"]


class Command(BaseCommand):
    help = "Look at the workers of a run of chaos, and enqueue probes."
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        watch(options["folder"])
