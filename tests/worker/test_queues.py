"""The order in which jobs run, and when."""

import statistics
import time
from datetime import timedelta

from django_tasks_q import enqueue_many
from django_tasks_q.control import queues as control
from django_tasks_q.lifecycle import JobStatus
from django_tasks_q.models import Job
from tests import tasks as usual
from tests.conftest import StartWorker
from tests.models import Effect
from tests.rows import wait_for_effects, wait_until_done
from tests.waiting import LIMIT, wait_for, wait_for_results
from tests.workers import WorkerProcess


def labels() -> list[str]:
    return list(Effect.objects.order_by("id").values_list("label", flat=True))


def test_jobs_run_by_priority_then_age(start_worker: StartWorker) -> None:
    for priority in (0, 50, -10, 100):
        for number in range(3):
            usual.leave_effect.using(priority=priority).enqueue(f"{priority} {number}")
    assert start_worker("--burst", "--concurrency", "1", wait=False).wait() == 0
    assert labels() == [f"{priority} {number}" for priority in (100, 50, 0, -10) for number in range(3)]


def test_queues_take_fair_turns(start_worker: StartWorker) -> None:
    """A queue that is full does not keep the others waiting, whatever their names."""
    enqueue_many((usual.leave_effect.using(queue_name="b"), ("crowd", 0.01), {}) for _ in range(400))
    start_worker("--concurrency", "1")
    wait_for(lambda: Effect.objects.count() >= 20, "the worker to be at it")
    few = [usual.leave_effect.using(queue_name=name).enqueue(f"few {name}", 0.01) for name in ("a", "b", "c")]
    before = Effect.objects.count()
    wait_for_results([few[0], few[2]])
    order = labels()
    assert max(order.index("few a"), order.index("few c")) - before < 200
    assert "few b" not in order[:400]


def test_a_long_job_does_not_keep_short_ones_waiting(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "2")
    # The worker has learnt that the task is short, and takes many at once.
    wait_for_results(enqueue_many((usual.nap, (0,), {}) for _ in range(100)))
    long, *short = enqueue_many((usual.nap, (seconds,), {}) for seconds in [120] + [0] * 50)
    wait_for_results(short)
    long.refresh()
    assert long.status == "RUNNING"


def test_a_paused_queue_is_left_alone_and_resumes_at_once(worker: WorkerProcess) -> None:
    control.pause("quiet")
    waiting = usual.leave_effect.using(queue_name="quiet").enqueue("quiet")
    # More than one look of the worker at its queues goes by.
    for number in range(3):
        usual.leave_effect.enqueue(f"loud {number}").wait(30)
    assert Job.objects.get(id=waiting.id).status == JobStatus.READY
    control.resume("quiet")
    wait_for_effects(["quiet"])


def test_delayed_jobs_start_in_time(start_worker: StartWorker) -> None:
    start_worker("--concurrency", "2")
    usual.noop.enqueue().wait(30)
    late = []
    for _ in range(5):
        due = time.time() + 0.7
        result = usual.start_time.using(run_after=timedelta(seconds=0.7)).enqueue()
        late.append(result.wait(30).return_value - due)
    assert min(late) > -0.02
    # On a quiet machine it is less than 0.05 s where the database notifies.
    assert statistics.median(late) < 1.5


def test_a_job_that_is_due_earlier_than_the_next_one_is_not_overlooked(worker: WorkerProcess) -> None:
    usual.noop.using(run_after=timedelta(hours=1)).enqueue()
    usual.noop.enqueue().wait(30)
    began = time.monotonic()
    usual.noop.using(run_after=timedelta(seconds=0.3)).enqueue().wait(LIMIT)
    assert time.monotonic() - began >= 0.3


def test_many_scheduled_jobs_are_promoted_together(worker: WorkerProcess) -> None:
    enqueue_many((usual.noop.using(run_after=timedelta(seconds=1)), (), {}) for _ in range(1_500))
    wait_until_done(1_500)
