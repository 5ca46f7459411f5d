from typing import Any

import pytest
from django.db import connection
from django.test import override_settings

from django_tasks_q.control import jobs, queues
from django_tasks_q.models import Queue
from django_tasks_q.notifiers import make_notifier

from .. import scenes
from ..waiting import wait_for

pytestmark = pytest.mark.django_db
BACKEND = "django_tasks_q.backend.TasksQBackend"


def test_a_paused_queue_gives_no_jobs_until_it_is_resumed() -> None:
    scenes.jobs(queue_name="mail")
    assert queues.pause("mail")
    assert scenes.claim(queue="mail") == []
    assert queues.resume("mail")
    assert len(scenes.claim(queue="mail")) == 1


def test_each_says_whether_something_changed() -> None:
    assert not queues.resume("mail")
    assert [queues.pause("mail"), queues.pause("mail")] == [True, False]
    assert [queues.resume("mail"), queues.resume("mail")] == [True, False]
    assert [queues.pause("mail"), queues.pause("mail")] == [True, False]
    assert Queue.objects.count() == 1


def test_a_queue_is_paused_for_one_backend() -> None:
    Queue.objects.create(backend="other", name="mail", paused=True)
    assert not queues.resume("mail")
    assert queues.pause("mail")
    assert queues.resume("mail")
    assert Queue.objects.get(backend="other").paused


def test_the_moment_of_the_change_is_kept() -> None:
    queues.pause("mail")
    before = Queue.objects.get().changed_at
    queues.resume("mail")
    assert Queue.objects.get().changed_at > before


@pytest.mark.parametrize("name", ["", "x" * 129, "a\0b"])
def test_what_cannot_be_a_queue_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 128 characters"):
        queues.pause(name)
    with pytest.raises(ValueError, match="1 to 128 characters"):
        queues.resume(name)


def test_a_long_name_and_a_strange_one_are_taken() -> None:
    for name in ("x" * 128, "Ünïcode 🐢 'quoted'; --"):
        assert queues.pause(name)
        assert queues.resume(name)


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db(transaction=True)
def test_resume_wakes_a_worker_that_sleeps() -> None:
    queues.pause("mail")
    listener = make_notifier("default", "default")
    listener.listen(scenes.add_sleeper("here"))
    listener.drain()
    queues.resume("mail")
    wait_for(listener.drain, "the wake-up")
    connection.close()


def only(*names: str) -> Any:
    """TASKS with these QUEUES."""
    return override_settings(TASKS={"default": {"BACKEND": BACKEND, "QUEUES": list(names)}})


def test_a_queue_that_cannot_exist_is_refused_with_the_nearest() -> None:
    with only("default", "mail"):
        for switch in (queues.pause, queues.resume):
            with pytest.raises(
                ValueError, match="There is no queue “mial” in TASKS, only default, mail. Did you mean “mail”"
            ):
                switch("mial")
        with pytest.raises(ValueError, match="only default, mail.$"):
            queues.pause("zzz")
        assert queues.pause("mail")
    assert list(Queue.objects.values_list("name", flat=True)) == ["mail"]


def test_a_queue_of_before_can_be_paused_and_resumed() -> None:
    scenes.jobs(queue_name="former")
    queues.pause("held")
    with only("default"):
        assert queues.resume("held")
        assert queues.pause("former")


def test_no_job_is_moved_to_a_queue_that_cannot_exist() -> None:
    (job,) = scenes.jobs(queue_name="former")
    with only("default", "mail"):
        for queue in ("mial", "former"):
            with pytest.raises(ValueError, match=f"no queue “{queue}”"):
                jobs.move([job], to_queue=queue)
            with pytest.raises(ValueError, match=f"no queue “{queue}”"):
                jobs.move_matching(queue="former", to_queue=queue)
        assert jobs.move([job], to_queue="mail") == {job}
