from typing import Any

import pytest

from django_tasks_q.lifecycle import WorkerStatus
from django_tasks_q.monitoring.workers import workers

from .. import scenes

pytestmark = pytest.mark.django_db


def test_a_worker_that_reports_is_alive() -> None:
    scenes.add_worker(queues=["a"], excluded_queues=["b"], running=2, finished=7, memory=1_024)
    [state] = workers()
    assert (state.alive, state.stale) == (True, False)
    assert (state.queues, state.excluded_queues, state.concurrency) == (("a",), ("b",), 2)
    assert (state.running, state.finished, state.memory) == (2, 7, 1_024)
    assert 0 <= state.heartbeat_age < 30


@pytest.mark.parametrize(
    ("status", "silent_for", "alive", "stale"),
    [
        (WorkerStatus.ONLINE, 10, True, False),
        (WorkerStatus.ONLINE, 60, False, True),
        (WorkerStatus.DRAINING, 0, True, False),
        (WorkerStatus.DRAINING, 60, False, True),
        (WorkerStatus.OFFLINE, 0, False, False),
        (WorkerStatus.LOST, 60, False, False),
    ],
)
def test_alive_and_stale(settings: Any, status: str, silent_for: float, alive: bool, stale: bool) -> None:
    settings.TASKS = {"default": {**settings.TASKS["default"], "OPTIONS": {"rescue_after": 40}}}
    scenes.add_worker(status=status, silent_for=silent_for)
    [state] = workers()
    assert (state.alive, state.stale) == (alive, stale)


def test_the_living_and_the_others_may_be_asked_for() -> None:
    living, silent = scenes.add_worker("a").id, scenes.add_worker("b", silent_for=60).id
    assert [state.id for state in workers()] == [living, silent]
    assert [state.id for state in workers(alive=True)] == [living]
    assert [state.id for state in workers(alive=False)] == [silent]


def test_workers_of_other_backends_are_theirs(settings: Any) -> None:
    settings.TASKS = {"default": settings.TASKS["default"], "other": settings.TASKS["default"]}
    scenes.add_worker(backend="other")
    assert workers() == []
    assert len(workers("other")) == 1


@pytest.mark.parametrize(
    ("queues", "excluded", "hears"),
    [([], [], True), (["mail"], [], True), (["other"], [], False), ([], ["mail"], False), (["mail"], ["mail"], False)],
)
def test_what_a_worker_listens_to(queues: list[str], excluded: list[str], hears: bool) -> None:
    scenes.add_worker(queues=queues, excluded_queues=excluded)
    assert workers()[0].listens_to("mail") == hears


def test_a_draining_or_silent_worker_listens_to_nothing() -> None:
    scenes.add_worker(status=WorkerStatus.DRAINING)
    scenes.add_worker(silent_for=60)
    assert not any(state.listens_to("mail") for state in workers())
