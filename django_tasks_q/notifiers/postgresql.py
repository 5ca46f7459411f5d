from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import connections

from .base import Ear, Notifier, Queues, is_pooled

__all__ = ["PostgreSQLNotifier"]

CHANNEL, CANCELLED = "django_tasks_q", "django_tasks_q_cancelled"
# For more queues than this, all workers are notified at once.
MOST_QUEUES = 4
LISTENERS = "FROM django_tasks_q_sleeper WHERE backend = %s AND %s ~ hears"
# NOTIFY takes a cluster-wide lock at commit, so it is sent only if a worker sleeps. Two are notified, because one may
# be frozen. Without an ORDER BY, which would take longer to plan than all the rest.
WAKE = f"SELECT pg_notify(address, %s) {LISTENERS} LIMIT 2"
# As many workers as have room for this many jobs together, but at least two.
WAKE_MANY = (
    "SELECT pg_notify(address, %s) FROM (SELECT address, row_number() OVER latest AS number,"
    f" sum(concurrency) OVER latest - concurrency AS room {LISTENERS}"
    " WINDOW latest AS (ORDER BY since DESC, address)) s WHERE room < %s OR number <= 2"
)
WAKE_ALL = "SELECT pg_notify(%s, %s) FROM django_tasks_q_sleeper WHERE backend = %s LIMIT 1"


class PostgreSQLNotifier(Notifier):
    """LISTEN on the supervisor's own connection, NOTIFY from the producer's."""

    reads_idle_flag = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._woken = False
        self._listening: Any = None
        self._own = ""

    @property
    def keeps_session(self) -> bool:  # type: ignore[override]
        return not is_pooled(connections[self.using])

    def check_settings(self) -> Iterator[CheckMessage]:
        if is_pooled(connections[self.using]):
            yield Warning(
                f'The database "{self.using}" seems to be behind a transaction pooler '
                "(DISABLE_SERVER_SIDE_CURSORS is on), through which LISTEN does not work.",
                hint='Set OPTIONS["notifier"] to "polling" or "redis".',
                id="tasksq.W004",
            )

    def wake_up(self, queue: str) -> tuple[str, Sequence[Any]]:
        return WAKE, [queue, self.alias, queue]

    def send(self, queues: Queues = None) -> None:
        with connections[self.using].cursor() as cursor:
            if queues is None or len(queues) > MOST_QUEUES:
                cursor.execute(WAKE_ALL, [CHANNEL, self.alias, self.alias])
                return
            for queue, jobs in queues.items():
                statement, parameters = self.wake_up(queue)
                cursor.execute(*(statement, parameters) if jobs == 1 else (WAKE_MANY, [*parameters, jobs]))

    def send_cancelled(self) -> None:
        with connections[self.using].cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CANCELLED, self.alias])

    def listen(self, ear: Ear) -> None:
        self._own = ear.address
        wrapper = connections[self.using]
        with wrapper.cursor() as cursor:
            for channel in (CHANNEL, CANCELLED, self._own):
                cursor.execute(f"LISTEN {channel}")
        self._listening = wrapper.connection
        self._listening.add_notify_handler(self._hear)
        self._woken = True

    def fileno(self) -> int | None:
        if self._listening is None or self._listening.closed:
            return None
        descriptor: int = self._listening.fileno()
        return descriptor

    def before_sleep(self) -> bool:
        # It may have arrived with the answer to a statement, or right after it: then the socket does not become
        # readable.
        if self._listening is not None:
            while (notification := self._listening.pgconn.notifies()) is not None:
                self._note(notification.relname.decode(), notification.extra.decode())
        woken, self._woken = self._woken, False
        return woken

    def drain(self) -> bool:
        if self._listening is not None and not self._listening.closed:
            # Reads what has arrived without a statement. Raises OperationalError if the server is gone.
            with connections[self.using].wrap_database_errors:
                self._listening.pgconn.consume_input()
        return self.before_sleep()

    def close(self) -> None:
        self._listening = None

    def _hear(self, notification: Any) -> None:
        self._note(notification.channel, notification.payload)

    def _note(self, channel: str, payload: str) -> None:
        if channel == self._own:
            self._woken = True
            self._heard.add(payload)
        elif payload == self.alias:
            self._woken |= channel == CHANNEL
            self._cancelled |= channel == CANCELLED
