"""Workers of one version on the tables of another: they work, or say why they do not."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command

from django_tasks_q import enqueue_many
from django_tasks_q.models import Job, Result
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.migrated import LATEST
from tests.waiting import wait_for, wait_for_results

APP = "django_tasks_q"
Migrate = Callable[[str, str], None]


@pytest.fixture
def migrate(transactional_db: None, settings: Any) -> Iterator[Migrate]:
    """Bring the tables to a migration of a package of them; they come back in the end."""
    used: list[str] = []

    def to(modules: str, name: str) -> None:
        used.append(modules)
        settings.MIGRATION_MODULES = {APP: modules}
        call_command("migrate", APP, name, verbosity=0)

    yield to
    for modules in reversed(used):
        to(modules, LATEST)


def test_a_newer_worker_refuses_the_tables_of_an_older_one(start_worker: StartWorker) -> None:
    modules = json.dumps({APP: "tests.newer"})
    result = usual.add.enqueue(1, 2)
    worker = start_worker("--concurrency", "1", wait=False, environment={"TEST_MIGRATION_MODULES": modules})
    assert worker.wait() == 1
    assert "lacks migrations of this package: 9999_more. Run: python manage.py migrate django_tasks_q" in worker.output
    assert "Traceback" not in worker.output
    # What waits is left for one that can run it.
    assert Job.objects.get().attempt == 0
    start_worker("--concurrency", "1")
    assert result.wait(30).return_value == 3


def test_an_older_worker_works_on_the_tables_of_a_newer_one(start_worker: StartWorker, migrate: Migrate) -> None:
    migrate("tests.newer", "9999")
    worker = start_worker("--concurrency", "2")
    results = [usual.add.enqueue(1, 2), *enqueue_many([(usual.add, (2, 2), {}), (usual.succeed_at, (2,), {})])]
    assert wait_for_results(results) == [3, 4, 2]
    assert worker.stop() == 0
    assert "has migrations that this version does not know: 9999_more; the worker runs anyway." in worker.output
    assert not Job.objects.exists()


def test_an_older_worker_refuses_tables_that_it_cannot_fill(start_worker: StartWorker, migrate: Migrate) -> None:
    result = usual.add.enqueue(1, 2)
    migrate("tests.newest", "9999")
    worker = start_worker("--concurrency", "1", wait=False)
    assert worker.wait() == 1
    assert "9999_more. They require columns that it cannot fill: django_tasks_q_result.colour." in worker.output
    assert "Traceback" not in worker.output
    assert str(Job.objects.get().id) == result.id


def test_a_worker_goes_on_while_its_tables_are_migrated(start_worker: StartWorker, migrate: Migrate) -> None:
    worker = start_worker("--concurrency", "2")
    results = enqueue_many((usual.nap, (0.01,), {}) for _ in range(200))
    wait_for(lambda: Result.objects.count() >= 10, "the first results")
    migrate("tests.newer", "9999")
    results += enqueue_many((usual.nap, (0.01,), {}) for _ in range(50))
    wait_for(lambda: Result.objects.count() >= 200, "most results")
    migrate("tests.newer", LATEST)
    assert wait_for_results(results) == [0.01] * 250
    assert Result.objects.filter(status="SUCCESSFUL", attempt=1).count() == 250
    assert worker.stop() == 0
    assert "Traceback" not in worker.output
