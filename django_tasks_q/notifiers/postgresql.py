from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import connections

from .base import Notifier

__all__ = ["PostgreSQLNotifier"]

CHANNEL, CANCELLED = "django_tasks_q", "django_tasks_q_cancelled"
# NOTIFY takes a lock of the whole cluster at commit: only where somebody sleeps. Without a sublink, which would cost
# more time to plan than all the rest.
SEND = "SELECT pg_notify(%s, %s) FROM django_tasks_q_worker WHERE backend = %s AND idle AND status = 'ONLINE' LIMIT 1"


class PostgreSQLNotifier(Notifier):
    """LISTEN on the supervisor's own connection, NOTIFY from the producer's."""

    reads_idle_flag = True
    wake_up: tuple[str, Sequence[Any]]

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.wake_up = SEND, [CHANNEL, self.alias, self.alias]
        self._woken = False
        self._listening: Any = None

    def check_settings(self) -> Iterator[CheckMessage]:
        if connections[self.using].settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
            yield Warning(
                f'The database "{self.using}" seems to stand behind a transaction pooler '
                "(DISABLE_SERVER_SIDE_CURSORS is on), through which LISTEN does not work.",
                hint='Set OPTIONS["notifier"] to "polling" or "redis".',
                id="tasksq.W004",
            )

    def send(self) -> None:
        with connections[self.using].cursor() as cursor:
            cursor.execute(*self.wake_up)

    def send_cancelled(self) -> None:
        with connections[self.using].cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", [CANCELLED, self.alias])

    def listen(self) -> None:
        wrapper = connections[self.using]
        with wrapper.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
            cursor.execute(f"LISTEN {CANCELLED}")
        self._listening = wrapper.connection
        self._listening.add_notify_handler(self._hear)
        self._woken = True

    def fileno(self) -> int | None:
        if self._listening is None or self._listening.closed:
            return None
        descriptor: int = self._listening.fileno()
        return descriptor

    def before_sleep(self) -> bool:
        # It may have come with the answer to a statement, or right behind it: then the socket stays quiet.
        if self._listening is not None:
            while (notification := self._listening.pgconn.notifies()) is not None:
                self._note(notification.relname.decode(), notification.extra.decode())
        woken, self._woken = self._woken, False
        return woken

    def drain(self) -> bool:
        if self._listening is not None and not self._listening.closed:
            # Reads what has arrived without a statement. Raises OperationalError where the server has gone.
            with connections[self.using].wrap_database_errors:
                self._listening.pgconn.consume_input()
        return self.before_sleep()

    def close(self) -> None:
        self._listening = None

    def _hear(self, notification: Any) -> None:
        self._note(notification.channel, notification.payload)

    def _note(self, channel: str, alias: str) -> None:
        if alias == self.alias:
            self._woken |= channel == CHANNEL
            self._cancelled |= channel == CANCELLED
