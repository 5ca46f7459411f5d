"""run-now, move, enqueue, and the end of workers."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest

from django_tasks_q.lifecycle import JobStatus
from django_tasks_q.models import Job, Worker

from .. import scenes
from ..tasks import add, noop
from .conftest import Ran

Tasks = Callable[..., Ran]
HOUR = timedelta(hours=1)


def test_run_now_by_ids_says_what_was_left(tasks: Tasks) -> None:
    [later], [ready] = scenes.jobs(run_after=HOUR), scenes.jobs()
    ran = tasks("run-now", later, ready)
    assert (ran.code, Job.objects.get(pk=later).status) == (1, JobStatus.READY)
    assert ran.out == (
        f"Made 1 job ready.\nNot made ready: {ready} is READY, and only what is scheduled can be made ready.\n"
    )
    assert tasks("run-now", uuid.uuid4(), "--json").json["readied"] == 0


def test_run_now_by_queue(tasks: Tasks) -> None:
    scenes.jobs(3, run_after=HOUR, queue_name="mail")
    assert tasks("run-now", "--queue", "mail", "--json").json == {"readied": 3, "refused": []}


def test_move_by_ids_and_by_queue(tasks: Tasks) -> None:
    [held], [ready] = scenes.running(), scenes.jobs()
    ran = tasks("move", held, ready, "--to-queue", "mail", "--priority", "-3")
    assert ran.code == 1
    assert f"Not moved: {held} is RUNNING, and only what has not started can be moved." in ran.out
    assert tasks("move", "--queue", "mail", "--task", noop.module_path, "--priority", "9").out == "Moved 1 job.\n"
    job = Job.objects.get(pk=ready)
    assert (job.queue_name, job.priority) == ("mail", 9)


@pytest.mark.parametrize(
    "arguments",
    [
        ("move",),
        ("move", "--queue", "x"),
        ("move", "--queue", "x", "--priority", "101"),
        ("move", "--queue", "x", "--to-queue", ""),
        ("run-now",),
        ("run-now", "x", "--queue", "y"),
        ("enqueue", "tests.tasks.add", "--args", "{}"),
        ("enqueue", "tests.tasks.add", "--kwargs", "x"),
        ("enqueue", "tests.tasks.add", "--args", "[" * 100_000),
        ("workers", "drain"),
        ("workers", "explode", "x"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(tasks: Tasks, arguments: tuple[str, ...]) -> None:
    scenes.jobs()
    assert tasks(*arguments).code == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("enqueue", "tests.tasks.add", "--args", "[1"), "--args must be a JSON list, not [1"),
        (("move", "--queue", "x", "--priority", "101"), "from -100 to 100, not 101."),
    ],
)
def test_a_refusal_repeats_what_was_given(tasks: Tasks, arguments: tuple[str, ...], text: str) -> None:
    scenes.jobs()
    assert text in tasks(*arguments).err


def test_enqueue_says_the_id(tasks: Tasks) -> None:
    ran = tasks("enqueue", add.module_path, "--args", "[1]", "--kwargs", '{"b": 2}', "--queue", "mail", "--in", "1h")
    job = Job.objects.get()
    assert (ran.code, ran.out) == (0, f"Enqueued {job.pk}.\n")
    assert (job.args, job.kwargs, job.queue_name, job.status) == ([1], {"b": 2}, "mail", JobStatus.SCHEDULED)
    assert tasks("enqueue", noop.module_path, "--json").json["id"]


def test_enqueue_in_a_shell(tasks_process: Tasks) -> None:
    ran = tasks_process("enqueue", add.module_path, "--args", "[42]", "--kwargs", '{"b": 1}', "--in", "15m")
    job = Job.objects.get()
    assert (ran.code, ran.out, ran.err) == (0, f"Enqueued {job.pk}.\n", "")
    assert (job.args, job.kwargs, job.status) == ([42], {"b": 1}, JobStatus.SCHEDULED)


@pytest.mark.parametrize(("path", "words"), [("tests.tasks.nope", "There is no task"), ("tests.tasks.add", "missing")])
def test_enqueue_of_what_no_worker_could_run_is_refused(tasks: Tasks, path: str, words: str) -> None:
    ran = tasks("enqueue", path)
    assert ran.code == 1
    assert words in ran.err


def test_workers_are_asked_to_end(tasks: Tasks) -> None:
    worker, other = scenes.add_worker("a"), scenes.add_worker("b", status="OFFLINE")
    ran = tasks("workers", "drain", worker.pk)
    assert (ran.code, ran.out) == (0, f"{worker.pk} has been asked to drain: it will at its next heartbeat.\n")
    assert tasks("workers", "drain", worker.pk).out == f"Not asked: {worker.pk} has been asked to end already.\n"
    ran = tasks("workers", "stop", worker.pk, other.pk, "--json")
    assert (ran.code, ran.json["asked"]) == (1, [worker.pk])
    assert Worker.objects.get(pk=worker.pk).request == "STOP"


def test_workers_are_asked_by_a_name_or_beginning_that_only_one_has(tasks: Tasks) -> None:
    one, other, mail = (scenes.add_worker(name) for name in ("web", "web", "mail"))
    scenes.add_worker("mail", status="OFFLINE")
    assert tasks("workers", "drain", "mail").out.startswith(f"{mail.pk} has been asked to drain")
    assert tasks("workers", "drain", one.pk[:-1], "--json").json["asked"] == [one.pk]
    # What might be another's name is not taken for the beginning of an id.
    assert tasks("workers", "drain", mail.pk[:-5]).code == 1
    # Several have this name; and an empty one, as of a variable that is not set, is none.
    for word in ("web", ""):
        ran = tasks("workers", "stop", word)
        assert ran.code == 1
        assert f"Those that run: {', '.join(sorted([one.pk, other.pk, mail.pk]))}." in ran.out
    assert not Worker.objects.filter(request="STOP").exists()


def test_what_it_says_is_english_whatever_the_site_speaks(tasks: Tasks, settings: object) -> None:
    settings.LANGUAGE_CODE = "de"  # type: ignore[attr-defined]
    [job] = scenes.jobs()
    assert "No worker is alive" in tasks("show", job).out
