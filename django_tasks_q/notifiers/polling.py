from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import connections

from .base import Notifier

__all__ = ["PollingNotifier"]


class PollingNotifier(Notifier):
    """No wake-up: an idle worker polls, often at first, then less and less often."""

    wakes = False
    first_sleep, longest_sleep = 0.05, 1.0

    def check_settings(self) -> Iterator[CheckMessage]:
        connection: Any = connections[self.using]
        if self.options.notifier == "auto" and connection.Database.__name__ == "psycopg2":
            yield Warning(
                f'Workers poll the PostgreSQL database "{self.using}", because psycopg2 cannot wake them.',
                hint='Install psycopg 3 (pip install "psycopg[binary]"), or set OPTIONS["notifier"] = "polling".',
                id="tasksq.W003",
            )
