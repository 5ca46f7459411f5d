import re
import secrets
from collections.abc import Collection

from ..brokers.base import Broker
from ..notifiers import Ear

__all__ = ["Bed"]

ENTER = (
    "INSERT INTO django_tasks_q_sleeper (address, worker_id, backend, hears, concurrency, since)"
    " VALUES (%s, %s, %s, %s, %s, {now})"
)


class Bed:
    """A worker's row among the sleepers, where producers see that it is asleep."""

    def __init__(
        self, broker: Broker, queues: Collection[str], excluded_queues: Collection[str], concurrency: int
    ) -> None:
        self.broker = broker
        self.ear = Ear(f"django_tasks_q_{secrets.token_hex(8)}", queues, excluded_queues)
        self.concurrency = concurrency

    def enter(self, worker_id: str) -> None:
        """Record that this worker is asleep."""
        # After a lost connection this may have been recorded already, under another address.
        self.leave()
        row = [self.ear.address, worker_id, self.broker.alias, pattern(self.ear), self.concurrency]
        with self.broker.connection.cursor() as cursor:
            cursor.execute(ENTER.format(now=self.broker.dialect.now_sql), row)

    def leave(self) -> None:
        """Record that this worker is no longer asleep."""
        with self.broker.connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_tasks_q_sleeper WHERE address = %s", [self.ear.address])


def pattern(ear: Ear) -> str:
    """Return a PostgreSQL regular expression for the queues that a listener is for."""
    excluded = f"(?!(?:{_any_of(ear.excluded_queues)})$)" if ear.excluded_queues else ""
    return f"^{excluded}(?:{_any_of(ear.queues)})$" if ear.queues else f"^{excluded}"


def _any_of(names: Collection[str]) -> str:
    return "|".join(re.escape(name) for name in names)
