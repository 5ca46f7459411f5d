import logging
import time
from collections.abc import Iterator
from typing import Any

from django.core.cache import caches
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from .base import Notifier

__all__ = ["RedisNotifier"]

LISTEN_AGAIN = SEND_AGAIN = 5.0
# A message that tells of a cancelled job; all others tell of a new one.
CANCELLED = "cancelled"
logger = logging.getLogger("django_tasks_q.notifier")


class RedisNotifier(Notifier):
    """Publish and subscribe through the Redis of a cache of django-redis: for any database, or behind a pooler."""

    # Redis may forget a message; the sleep is shorter than with a notification from the database itself.
    first_sleep, longest_sleep = 2.0, 2.0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._subscription: Any = None
        self._listen_at = 0.0
        self._send_at = 0.0

    def check_settings(self) -> Iterator[CheckMessage]:
        self._cache()
        return iter(())

    @property
    def _client(self) -> Any:
        return self._cache().client.get_client(write=True)

    def _cache(self) -> Any:
        cache = caches[self.options.redis_cache]
        if not hasattr(cache, "client") or not hasattr(cache.client, "get_client"):
            raise ImproperlyConfigured(
                f'The notifier "redis" needs a cache of django-redis; CACHES["{self.options.redis_cache}"] is '
                f'{type(cache).__module__}.{type(cache).__qualname__}. OPTIONS["redis_cache"] names its alias.'
            )
        return cache

    @property
    def _channel(self) -> str:
        return str(caches[self.options.redis_cache].make_key(f"django_tasks_q:{self.alias}"))

    def send(self) -> None:
        self._publish("")

    def send_cancelled(self) -> None:
        self._publish(CANCELLED)

    def _publish(self, message: str) -> None:
        # A Redis that is away costs a time-out and a line of the log now and then, not at each enqueue.
        if time.monotonic() < self._send_at:
            return
        try:
            self._client.publish(self._channel, message)
        except (OSError, _redis_errors()) as error:
            self._send_at = time.monotonic() + SEND_AGAIN
            logger.warning("Redis is not there (%s); workers find new jobs when they poll.", error)

    def listen(self) -> None:
        self.close()
        subscription = self._client.pubsub(ignore_subscribe_messages=True)
        try:
            subscription.subscribe(self._channel)
        except (OSError, _redis_errors()) as error:
            self._lost(error)
        else:
            self._subscription = subscription

    def fileno(self) -> int | None:
        connection = getattr(self._subscription, "connection", None)
        sock = getattr(connection, "_sock", None)
        return sock.fileno() if sock is not None else None

    def before_sleep(self) -> bool:
        if self._subscription is None and time.monotonic() >= self._listen_at:
            self.listen()
            return self._subscription is not None
        return False

    def drain(self) -> bool:
        woken = False
        try:
            while (message := self._subscription.get_message(timeout=0)) is not None:
                cancelled = message["data"] in {CANCELLED, CANCELLED.encode()}
                self._cancelled |= cancelled
                woken |= not cancelled
        except _redis_errors() as error:
            self._lost(error)
        return woken

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _lost(self, error: BaseException) -> None:
        logger.warning("Redis is not there (%s); the worker polls until it is.", error)
        self._subscription = None
        self._listen_at = time.monotonic() + LISTEN_AGAIN


def _redis_errors() -> type[Exception]:
    # An optional dependency, needed only where this notifier is configured.
    import redis  # noqa: PLC0415

    return redis.RedisError
