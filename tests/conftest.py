import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import TransactionTestCase

from django_tasks_q.brokers import get_broker

from . import servers
from .emptying import empty_tables
from .needs import require
from .workers import WorkerProcess

# What starts real workers.
WORKER_FIXTURES = {"start_worker", "worker", "tasks_q_worker", "own_postgresql"}


def pytest_configure(config: pytest.Config) -> None:
    # A shell has what it runs in the background ignore it, and so would the processes that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "only_on(*databases): about these databases; not part of the others' sessions.")
    config.addinivalue_line("markers", "worker: starts real workers; given to each test with one of their fixtures.")
    config.addinivalue_line("markers", "project: makes a project of its own, or runs programs that take long.")


def pytest_report_header() -> str:
    return f"database: {settings.DATABASE} {settings.MISSING or settings.URL}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if WORKER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("worker")
    others = [
        item for item in items if any(settings.DATABASE not in mark.args for mark in item.iter_markers("only_on"))
    ]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    # The processes of `pytest -n` send it as UTF-8, and some tests log what is not.
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Need the server, before pytest-django makes the test database on it."""
    require(servers.DATABASES[settings.DATABASE])


@pytest.fixture(scope="session", autouse=True)
def empty_tables_quickly() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables)
        yield


@pytest.fixture
def redis_url() -> str:
    return require(servers.redis_url)


@pytest.fixture
def broker(db: None) -> Any:
    """The broker of the default backend."""
    return get_broker("default")


StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def start_worker(transactional_db: None, tmp_path: Path) -> Iterator[StartWorker]:
    """Start real workers: start_worker("--concurrency", "2", options={...}); see WorkerProcess.

    wait=False returns before they are ready. Their output is shown where the test fails; nothing of them survives it.
    """
    started: list[WorkerProcess] = []

    def start(*arguments: str, wait: bool = True, **given: Any) -> WorkerProcess:
        worker = WorkerProcess(*arguments, log=tmp_path / f"worker-{len(started)}.log", **given)
        started.append(worker)
        return worker.wait_until_ready() if wait else worker

    yield start
    for worker in started:
        worker.destroy()
    for worker in started:
        sys.stderr.write(f"{worker}, exit code {worker.process.returncode}\n{worker.output}\n")


@pytest.fixture
def worker(start_worker: StartWorker) -> WorkerProcess:
    """One worker with two children."""
    return start_worker("--concurrency", "2")
