"""`taskworker` called by code, which goes on after it: a deployment's script, a test."""

import logging
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from django_tasks_q.models import Job, Result, Worker

from ..tasks import add

BURST = ("taskworker", "--burst", "--concurrency", "1")


def test_it_returns_when_the_burst_is_over(transactional_db: None) -> None:
    for number in (1, 2):
        result = add.enqueue(1, number)
        call_command(*BURST)
        result.refresh()
        assert result.return_value == 1 + number


def test_the_process_is_left_as_it_was(transactional_db: None) -> None:
    def state() -> list[Any]:
        names = ("django_tasks_q", "django_tasks_q.worker", "django.tasks", "django_tasks")
        loggers = [logging.getLogger(name) for name in names]
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
        return [handlers, wakeup, [(log.level, log.propagate, list(log.handlers)) for log in loggers]]

    # What is opened once and kept, such as by the first import of something.
    call_command(*BURST)
    before, descriptors = state(), len(os.listdir("/proc/self/fd"))
    call_command(*BURST)
    assert state() == before
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def test_queues_may_be_given_by_name(transactional_db: None) -> None:
    mail, other = add.using(queue_name="mail").enqueue(1, 2), add.using(queue_name="m").enqueue(1, 2)
    call_command(*BURST, queues="mail")
    assert [str(row.pk) for row in Result.objects.all()] == [mail.id]
    assert [str(row.pk) for row in Job.objects.all()] == [other.id]


def test_a_test_case_is_refused_at_once(db: None) -> None:
    add.enqueue(1, 2)
    with pytest.raises(CommandError, match=r'"default" is inside a transaction, as in a TestCase') as refused:
        call_command(*BURST)
    assert refused.value.returncode == 1
    assert "run_jobs() of django_tasks_q.testing runs jobs without a worker" in str(refused.value)
    # The test's own transaction is as it was, and no worker has been there.
    assert (Job.objects.count(), Worker.objects.count()) == (1, 0)


@pytest.mark.django_db(transaction=True, databases=["default", "queue"])
@pytest.mark.parametrize(("alias", "backend"), [("queue", "default"), ("default", "elsewhere")])
def test_a_transaction_in_any_database_is_refused(alias: str, backend: str) -> None:
    with transaction.atomic(using=alias), pytest.raises(CommandError, match=f'The connection "{alias}" is inside'):
        call_command(*BURST, "--backend", backend)


def test_another_thread_is_refused(transactional_db: None) -> None:
    said: list[str] = []

    def start() -> None:
        try:
            call_command(*BURST)
        except CommandError as error:
            said.append(str(error))
        finally:
            connection.close()

    thread = threading.Thread(target=start, name="of-a-test")
    thread.start()
    thread.join()
    [text] = said
    assert text.startswith('A worker handles signals, which only the main thread can; this is "of-a-test".')


@pytest.mark.parametrize("name", ["nowhere/alive", ""])
def test_a_heartbeat_file_that_cannot_be_is_refused(transactional_db: None, tmp_path: Path, name: str) -> None:
    with pytest.raises(CommandError, match="--heartbeat-file .* no file can be made there"):
        call_command(*BURST, "--heartbeat-file", str(tmp_path / name))
