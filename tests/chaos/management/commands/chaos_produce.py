from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from ...producer import Journal, Producer

__all__ = ["Command"]


class Command(BaseCommand):
    help = "Enqueue jobs for a run of chaos, and write down what was meant and what came of it."
    # On MySQL they ask the database, which may be away just now.
    requires_system_checks: tuple[str, ...] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")
        parser.add_argument("journal", type=Path)
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--jobs", type=int, default=100)
        parser.add_argument("--seconds", type=float, default=10.0)
        parser.add_argument("--slow", type=float, default=0.02)
        parser.add_argument("--loads", default="", help="Names of producer.LOADS, with commas.")

    def handle(self, *args: Any, **options: Any) -> None:
        loads = [*filter(None, options["loads"].split(","))]
        producer = Producer(options["name"], options["seed"], Journal(options["journal"]), options["slow"], loads)
        producer.produce(options["jobs"], options["seconds"])
