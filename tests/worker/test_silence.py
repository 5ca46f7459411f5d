"""A host that is cut off: its worker learns of it in seconds, and carries on when it is back."""

import os
import shutil
import sys
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from tests import tasks as usual
from tests.chaos.networks import Network
from tests.conftest import StartWorker
from tests.notifiers.proxy import Proxy
from tests.waiting import wait_for, wait_for_results

VARIABLES = {"postgresql": "TEST_POSTGRES_URL", "mysql": "TEST_MYSQL_URL"}

pytestmark = [
    pytest.mark.only_on("postgresql", "mysql"),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"), reason="makes a host of its own"
    ),
]


@pytest.fixture
def network() -> Iterator[Network]:
    number = os.getpid() % 200
    network = Network(f"si{number}", f"10.214.{number}")
    yield network
    network.close()


def test_it_is_noticed_in_time(start_worker: StartWorker, network: Network) -> None:
    host, variable = network.add_host(), VARIABLES[settings.DATABASE]
    if not urlsplit(os.environ[variable]).port:
        pytest.skip("The server listens on no port.")
    with Proxy(os.environ[variable], network.address) as proxy:
        worker = start_worker(
            "--concurrency", "1", prefix=host.prefix, environment={variable: proxy.url},
            options={"heartbeat_interval": 1, "rescue_after": 4},
        )  # fmt: skip
        assert wait_for_results([usual.add.enqueue(1, 2)]) == [3]
        host.pull_out()
        # By itself the kernel would try for a quarter of an hour.
        wait_for(lambda: "The database does not answer" in worker.output, "the worker to notice")
        host.plug_in()
        wait_for(lambda: "is back" in worker.output, "the worker to connect again")
        assert wait_for_results([usual.add.enqueue(2, 3)]) == [5]
        assert worker.stop() == 0
