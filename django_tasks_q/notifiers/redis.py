import logging
import time
from collections.abc import Iterator
from typing import Any

from django.core.cache import caches
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from ..exceptions import SoftTimeout
from .base import Ear, Notifier, Queues

__all__ = ["RedisNotifier"]

LISTEN_AGAIN = SEND_AGAIN = 5.0
# A message that announces a cancelled job; all others announce a new one, in the queue that follows, or in any.
CANCELLED, OF_QUEUE, OF_ANY = "cancelled", "queue:", ""
# More queues than this are announced at once.
MOST_QUEUES = 4
logger = logging.getLogger("django_tasks_q.notifier")


class RedisNotifier(Notifier):
    """Publish and subscribe through the Redis of a django-redis cache: for any database, or behind a pooler."""

    # Redis may lose a message; the sleep is shorter than with notifications from the database itself.
    first_sleep, longest_sleep = 2.0, 2.0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._subscription: Any = None
        self._listen_at = 0.0
        self._ear = Ear("")
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

    def send(self, queues: Queues = None) -> None:
        if queues is None or len(queues) > MOST_QUEUES:
            self._publish(OF_ANY)
            return
        for queue in queues:
            self._publish(f"{OF_QUEUE}{queue}")

    def send_cancelled(self) -> None:
        self._publish(CANCELLED)

    def _publish(self, message: str) -> None:
        # An unreachable Redis costs a timeout and a log line now and then, not at each enqueue.
        if time.monotonic() < self._send_at:
            return
        try:
            self._client.publish(self._channel, message)
        except SoftTimeout:
            # An OSError too, but raised by the task that enqueues.
            raise
        except (OSError, _redis_errors()) as error:
            self._send_at = time.monotonic() + SEND_AGAIN
            logger.warning("Redis is unreachable (%s); workers find new jobs when they poll.", error)

    def listen(self, ear: Ear) -> None:
        self._ear = ear
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
            self.listen(self._ear)
            return self._subscription is not None
        return False

    def drain(self) -> bool:
        woken = False
        try:
            while (message := self._subscription.get_message(timeout=0)) is not None:
                data = message["data"]
                text = data.decode() if isinstance(data, bytes) else data
                self._cancelled |= text == CANCELLED
                woken |= self._is_for_us(text)
        except _redis_errors() as error:
            self._lost(error)
        return woken

    def _is_for_us(self, message: str) -> bool:
        if message.startswith(OF_QUEUE):
            return self._ear.is_for(message.removeprefix(OF_QUEUE))
        return message != CANCELLED

    def close(self) -> None:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None

    def _lost(self, error: BaseException) -> None:
        logger.warning("Redis is unreachable (%s); the worker polls until it is back.", error)
        self._subscription = None
        self._listen_at = time.monotonic() + LISTEN_AGAIN


def _redis_errors() -> type[Exception]:
    # An optional dependency, needed only where this notifier is configured.
    import redis  # noqa: PLC0415

    return redis.RedisError
