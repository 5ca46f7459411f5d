"""Redis carries the wake-up for any database."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from django_tasks_q.notifiers import Ear, Notifier, make_notifier
from tests import tasks
from tests.conftest import StartWorker
from tests.rows import wait_until_done
from tests.waiting import LIMIT, wait_for
from tests.workers import WorkerProcess

from .proxy import Proxy

FAR = {"notifier": "redis", "poll_interval": 60}


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    """A way to Redis that can be cut."""
    with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
def redis_cache(settings: Any, proxy: Proxy) -> None:
    """The settings that the worker has, for the producer."""
    settings.CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": proxy.url,
            "KEY_PREFIX": settings.DATABASE_NAME,
        },
    }
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": FAR}}


def subscribers(proxy: Proxy) -> int:
    """Return how many listen, as Redis says."""
    channel = make_notifier("default", "default")._channel
    return int(caches["default"].client.get_client().pubsub_numsub(channel)[0][1])


def start(start_worker: StartWorker, proxy: Proxy, **options: Any) -> WorkerProcess:
    return start_worker("--concurrency", "1", options=FAR | options, environment={"TEST_REDIS_URL": proxy.url})


@pytest.mark.usefixtures("redis_cache")
def test_an_enqueue_wakes_a_sleeping_worker(start_worker: StartWorker, proxy: Proxy) -> None:
    start(start_worker, proxy)
    wait_for(lambda: subscribers(proxy) == 1, "the worker to listen")
    for pause in range(20):
        tasks.noop.enqueue().wait(LIMIT)
        time.sleep(pause / 1_000)


@pytest.mark.usefixtures("redis_cache")
def test_redis_goes_away_and_comes_back(start_worker: StartWorker, proxy: Proxy) -> None:
    worker = start(start_worker, proxy, poll_interval=3)
    wait_for(lambda: subscribers(proxy) == 1, "the worker to listen")
    tasks.noop.enqueue().wait(LIMIT)

    proxy.cut()
    wait_for(lambda: "Redis is unreachable" in worker.output, "the worker to notice")
    # An enqueue succeeds, and the job is found by polling.
    for _ in range(2):
        tasks.noop.enqueue().wait(LIMIT)
    proxy.restore()
    wait_for(lambda: subscribers(proxy) == 1, "the worker to listen again")
    wait_until_done(3)
    for _ in range(5):
        tasks.noop.enqueue().wait(LIMIT)
    assert worker.stop() == 0


@pytest.mark.usefixtures("redis_cache")
def test_redis_tells_of_a_cancelled_job(settings: Any, proxy: Proxy) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"notifier": "redis"}}}
    listener, sender = make_notifier("default", "default"), make_notifier("default", "default")
    listener.listen(Ear("here"))
    wait_for(lambda: subscribers(proxy) == 1, "the listener to be heard of")
    sender.send()
    sender.send_cancelled()
    heard = []
    wait_for(lambda: heard.append(listener.drain()) or listener.hears_cancelled(), "the message")
    # The one is not the other, and is heard once.
    assert any(heard)
    assert not listener.hears_cancelled()
    sender.send_cancelled()
    wait_for(lambda: heard.append(listener.drain()) or listener.hears_cancelled(), "the message")
    assert heard.count(True) == 1
    listener.close()


def is_woken(listener: Notifier) -> bool:
    """Wait for the next message of a cancelled job; return whether there was another one before it."""
    heard: list[bool] = []
    wait_for(lambda: heard.append(listener.drain()) or listener.hears_cancelled(), "the message")
    return any(heard)


@pytest.mark.usefixtures("redis_cache")
def test_who_does_not_listen_to_the_queue_goes_on_sleeping(settings: Any, proxy: Proxy) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"notifier": "redis"}}}
    sender = make_notifier("default", "default")
    ears = {"mail": Ear("a", ["mail"]), "all": Ear("b"), "others": Ear("c", [], ["mail"])}
    listeners = {name: make_notifier("default", "default") for name in ears}
    for name, listener in listeners.items():
        listener.listen(ears[name])
    wait_for(lambda: subscribers(proxy) == 3, "the listeners to be heard of")

    def woken() -> set[str]:
        """Send what nobody overlooks, and return who was woken before it came."""
        sender.send_cancelled()
        return {name for name, listener in listeners.items() if is_woken(listener)}

    sender.send({"mail": 1})
    assert woken() == {"mail", "all"}
    sender.send({"default": 3})
    assert woken() == {"all", "others"}
    sender.send({f"q{number}": 1 for number in range(9)})
    assert woken() == {"mail", "all", "others"}
    sender.send()
    assert woken() == {"mail", "all", "others"}
    for listener in listeners.values():
        listener.close()


@pytest.mark.usefixtures("redis_cache")
def test_a_worker_starts_without_redis(start_worker: StartWorker, proxy: Proxy) -> None:
    proxy.cut()
    worker = start(start_worker, proxy, poll_interval=1)
    assert tasks.add.enqueue(1, 2).wait(LIMIT).return_value == 3
    assert "Redis is unreachable" in worker.output
    assert worker.stop() == 0


def test_another_cache_is_refused(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": FAR}}
    with pytest.raises(ImproperlyConfigured, match='"redis" needs a cache of django-redis.*LocMemCache'):
        make_notifier("default", "default").send()
