"""Workers that seem dead, or are: what they held runs elsewhere, and they record nothing of it."""

import shutil
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.conf import settings
from django.utils import timezone

from django_tasks_q.brokers import get_broker
from django_tasks_q.control.workers import drain
from django_tasks_q.lifecycle import JobStatus, ResultStatus, WorkerStatus
from django_tasks_q.models import Job, Result, Worker
from django_tasks_q.services.liveness import Liveness
from django_tasks_q.services.registry import Identity, Load, Registry
from django_tasks_q.worker.heartbeat import Beat, Heartbeat
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import insert_job, row_of, wait_for_effects, wait_until_begun
from tests.waiting import wait_for, wait_for_results
from tests.workers import WorkerProcess

from . import tasks

QUICK = {"heartbeat_interval": 0.5, "rescue_after": 2}


def send(number: signal.Signals, processes: list[psutil.Process]) -> None:
    for process in processes:
        process.send_signal(number)


def assert_works_under_a_new_id(worker: WorkerProcess, old: Worker) -> None:
    """The worker has started over: the old row is LOST, and jobs run under another id."""
    wait_for(worker._is_ready, f"{worker} to start over")
    wait_for(lambda: Worker.objects.filter(pid=worker.pid).count() == 2, "a second row of the worker")
    assert Worker.objects.get(id=old.id).status == WorkerStatus.LOST
    result = usual.add.enqueue(1, 2).wait(30)
    new = Worker.objects.get(pid=worker.pid, status=WorkerStatus.ONLINE)
    assert (result.return_value, result.worker_ids) == (3, [new.id])
    assert new.id != old.id
    assert f"Worker {old.id} was presumed dead" in worker.output


def test_a_worker_that_was_stopped_for_too_long_starts_over(start_worker: StartWorker) -> None:
    """The whole of it, as by a host that is suspended."""
    worker = start_worker("--concurrency", "2", options=QUICK)
    old = worker.row
    result = tasks.sleep_at_first.enqueue("job")
    wait_for_effects(["job"])
    wait_until_begun(1)
    tree = [psutil.Process(worker.pid), *worker.others()]

    worker.freeze()
    send(signal.SIGSTOP, tree)
    other = start_worker("--concurrency", "2", options=QUICK)
    assert wait_for_results([result]) == [2]
    assert other.stop() == 0
    # The supervisor last: the first that it does is to kill the others.
    send(signal.SIGCONT, tree[::-1])

    assert_works_under_a_new_id(worker, old)
    row = row_of(result)
    assert (row.attempt, row.losses, row.worker_id) == (2, 1, other.row.id)
    assert f"Worker {old.id} (process {worker.pid}" in row.errors[0]["traceback"]
    assert Effect.objects.count() == 2


def test_a_worker_that_was_presumed_dead_records_nothing(start_worker: StartWorker, tmp_path: Path) -> None:
    """The supervisor alone stands still; its children finish what they run, too late."""
    worker, go = start_worker("--concurrency", "3", options=QUICK), tmp_path / "go"
    old = worker.row
    results = {"plain": tasks.wait_at_first.enqueue("plain", str(go))}
    wait_for_effects(["plain"])
    if settings.DATABASE != "sqlite":
        # There its transaction would keep the only lock from those who rescue.
        results["atomic"] = tasks.wait_atomically_at_first.enqueue("atomic", str(go))
    wait_for(lambda: all((tmp_path / f"go-{label}-begun").exists() for label in results), "the first runs to begin")
    # What an atomic task holds open is a lock on nothing of ours.
    wait_until_begun(len(results))

    worker.freeze()
    other = start_worker("--concurrency", "2", options=QUICK)
    assert wait_for_results(list(results.values())) == [2] * len(results)
    other_id = other.row.id
    assert other.stop() == 0
    go.touch()
    wait_for(lambda: all((tmp_path / f"go-{label}").exists() for label in results), "the first runs to end")
    worker.thaw()

    assert_works_under_a_new_id(worker, old)
    for result in results.values():
        row = row_of(result)
        assert (row.status, row.attempt, row.losses, row.worker_id) == (ResultStatus.SUCCESSFUL, 2, 1, other_id)
    # The atomic one's first run is undone, the plain one's is not.
    labels = sorted(Effect.objects.values_list("label", "attempt"))
    assert labels == [*([("atomic", 2)] if "atomic" in results else []), ("plain", 1), ("plain", 2)]


def test_the_heartbeat_file_is_touched_with_each_heartbeat(start_worker: StartWorker, tmp_path: Path) -> None:
    file = tmp_path / "probes" / "alive"
    file.parent.mkdir()
    worker = start_worker("--concurrency", "1", "--heartbeat-file", str(file), options=QUICK)
    wait_for(file.exists, "the first heartbeat")
    first = file.stat().st_mtime_ns
    wait_for(lambda: file.stat().st_mtime_ns > first, "another heartbeat")
    # A disk that takes no more stops no worker.
    shutil.rmtree(file.parent)
    wait_for(lambda: f"The heartbeat file {file} cannot be touched" in worker.output, "the worker to say so")
    assert usual.add.enqueue(1, 2).wait(30).return_value == 3
    file.parent.mkdir()
    wait_for(file.exists, "the file to be there again")
    assert worker.stop() == 0
    assert worker.output.count("cannot be touched") == 1


def insert_worker(name: str, *, node: str = "another host", silent_for: float) -> str:
    """Write the row of a worker whose last heartbeat was this many seconds ago."""
    moment = timezone.now() - timedelta(seconds=silent_for)
    row = Worker.objects.create(
        id=name, host="web-7", node=node, pid=4, concurrency=1, started_at=moment, heartbeat_at=moment
    )
    return str(row.id)


def held_by(worker_id: str, **columns: Any) -> Job:
    now = timezone.now()
    given = {"status": JobStatus.RUNNING, "worker_id": worker_id, "attempt": 1, "started_at": now, "begun_at": now}
    given |= columns
    return insert_job("tests.tasks.noop", **given)


@pytest.mark.usefixtures("transactional_db")
def test_silent_workers_of_other_hosts_are_rescued(start_worker: StartWorker) -> None:
    # The other one's last heartbeat is to be young whenever somebody looks.
    dead, alive = insert_worker("dead", silent_for=20), insert_worker("alive", silent_for=-3_600)
    lost, poison, kept = held_by(dead), held_by(dead, losses=2), held_by(alive)
    start_worker("--concurrency", "1")
    wait_for(lambda: Result.objects.count() == 2, "the jobs of the dead worker to end")

    lost_row, poison_row = Result.objects.get(id=lost.id), Result.objects.get(id=poison.id)
    assert (lost_row.status, lost_row.attempt, lost_row.losses) == (ResultStatus.SUCCESSFUL, 2, 1)
    assert (poison_row.status, poison_row.attempt, poison_row.losses) == (ResultStatus.FAILED, 1, 3)
    assert "Worker dead (process 4 on web-7) died" in poison_row.reason
    assert Job.objects.get(id=kept.id).worker_id == alive
    statuses = dict(Worker.objects.filter(id__in=[dead, alive]).values_list("id", "status"))
    assert statuses == {"dead": WorkerStatus.LOST, "alive": WorkerStatus.ONLINE}


@pytest.fixture
def registry(transactional_db: None) -> Registry:
    registry = Registry(get_broker("default"), Identity("name", [], [], 1))
    registry.register()
    return registry


def test_a_heartbeat_returns_what_an_operator_has_asked(registry: Registry, tmp_path: Path) -> None:
    heartbeat = Heartbeat(registry, str(tmp_path / "alive"))
    assert heartbeat.take_turn()
    assert not heartbeat.take_turn()
    assert heartbeat.beat(Load(0, 0, 0), idle=False) == Beat(disowned=False, request=None)
    assert (tmp_path / "alive").exists()
    drain(registry.worker_id)
    assert heartbeat.beat(Load(0, 0, 0), idle=False) == Beat(disowned=False, request="DRAIN")


def test_of_a_worker_that_was_presumed_dead_nothing_is_asked_any_more(registry: Registry, tmp_path: Path) -> None:
    drain(registry.worker_id)
    Liveness(registry.broker, registry.clock).mark_lost(Worker.objects.get())
    heartbeat = Heartbeat(registry, str(tmp_path / "alive"))
    assert heartbeat.beat(Load(0, 0, 0), idle=False) == Beat(disowned=True, request=None)
    # The database has recorded no heartbeat.
    assert not (tmp_path / "alive").exists()
