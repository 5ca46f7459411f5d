"""What a task prints comes into the log of the worker."""

from tests.conftest import StartWorker
from tests.tasks import say
from tests.waiting import wait_for


def test_a_line_is_there_before_the_task_has_ended(start_worker: StartWorker) -> None:
    worker = start_worker("--concurrency", "1")
    say.enqueue("It's begun: é", seconds=60)
    wait_for(lambda: "It's begun: é\n" in worker.output, "the line that the task has printed")


def test_no_line_is_lost_at_the_end(start_worker: StartWorker) -> None:
    for number in range(20):
        say.enqueue(f"line {number}.")
    worker = start_worker("--concurrency", "2", "--burst", wait=False)
    assert worker.wait() == 0
    assert [number for number in range(20) if f"line {number}.\n" not in worker.output] == []
