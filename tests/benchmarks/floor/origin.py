"""The tables as the migrations make them, and one job as enqueue() stores it. Run in a separate process."""

import django
from django.core.management import call_command

from django_tasks_q import task

__all__ = ["make"]


@task
def noop() -> None:
    """Do nothing."""


def make() -> None:
    """Make the tables and enqueue one job: the pattern of all others."""
    django.setup()
    call_command("migrate", verbosity=0)
    noop.enqueue()
