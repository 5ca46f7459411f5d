"""A server that stands still, while its host goes on to confirm what it gets: no limit of TCP's ever passes."""

import os
from urllib.parse import urlsplit

import psutil
import pytest
from django.conf import settings
from django.db import connection

from tests import tasks
from tests.conftest import StartWorker
from tests.notifiers.proxy import Proxy
from tests.waiting import wait_for, wait_for_results

from .tasks import connection_options

VARIABLES = {"postgresql": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}
# What the supervisor says first on a new connection.
FIRST = {"postgresql": b"lock_timeout", "mysql": b"lock_wait_timeout"}

pytestmark = pytest.mark.only_on("postgresql", "mysql")


def test_a_server_that_stands_still_is_given_up(start_worker: StartWorker) -> None:
    variable = VARIABLES[settings.DATABASE]
    if not urlsplit(os.environ[variable]).port:
        pytest.skip("The server listens on no port.")
    with Proxy(os.environ[variable]) as proxy:
        worker = start_worker(
            "--concurrency", "1", "--shutdown-timeout", "1", environment={variable: proxy.url},
            options={"heartbeat_interval": 0.2, "rescue_after": 2},
        )  # fmt: skip
        assert wait_for_results([tasks.add.enqueue(1, 2)]) == [3]
        proxy.hold()
        wait_for(lambda: "The database does not answer" in worker.output, "the worker to notice")
        proxy.let_go()
        wait_for(lambda: "is back" in worker.output, "the worker to connect again")
        assert wait_for_results([tasks.add.enqueue(2, 3)]) == [5]

        proxy.hold()
        worker.signal()
        # It cannot say farewell, and may not know whether the last job is recorded.
        assert worker.wait() in (0, 1)


def test_a_server_that_stands_still_behind_a_pooler_is_given_up(start_worker: StartWorker) -> None:
    variable = VARIABLES[settings.DATABASE]
    if not urlsplit(os.environ[variable]).port:
        pytest.skip("The server listens on no port.")
    with Proxy(os.environ[variable]) as proxy:
        # The pooler has answered the greeting; the first statement gets no answer.
        proxy.hold_at(FIRST[settings.DATABASE])
        worker = start_worker(
            "--concurrency", "1", environment={variable: proxy.url}, wait=False,
            options={"heartbeat_interval": 0.5, "rescue_after": 2},
        )  # fmt: skip
        wait_for(lambda: "The database does not answer" in worker.output, "the worker to notice")
        proxy.let_go()
        worker.wait_until_ready()
        assert wait_for_results([tasks.add.enqueue(1, 2)]) == [3]


def test_the_limits_of_the_supervisor_are_not_those_of_tasks(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1")
    usual = sorted(connection.settings_dict["OPTIONS"])
    assert wait_for_results([connection_options.enqueue()]) == [usual]

    # Its successor is forked from a supervisor that has a connection.
    psutil.Process(worker.pid).children()[0].kill()
    wait_for(lambda: "fork server" in worker.output, "the worker to notice")
    assert wait_for_results([connection_options.enqueue()]) == [usual]
