"""Any command line: it works, or it is refused in words. Never a traceback."""

from argparse import ArgumentTypeError
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import example, given
from hypothesis import strategies as st

from django_tasks_q.brokers import get_broker
from django_tasks_q.management.commands import taskworker
from django_tasks_q.management.verbs import VERBS
from django_tasks_q.services.registry import Identity, Registry
from tests import scenes
from tests.hypotheses import NAMES, TEXT, examples
from tests.management.conftest import Ran, tasks

__all__ = ["tasks"]

pytestmark = pytest.mark.django_db
WORDS = TEXT | NAMES | st.integers().map(str) | st.floats().map(str) | st.sampled_from(["9" * 5_000, "1e400", "-1"])
WORKER_OPTIONS = [
    "--backend", "--queues", "--exclude-queues", "--name", "--concurrency", "--burst", "--max-tasks-per-child",
    "--max-memory-per-child", "--shutdown-timeout", "--reload", "--log-format",
]  # fmt: skip
TASKS_OPTIONS = [
    "--json", "--backend", "--queue", "--task", "--limit", "--all-failed", "--yes", "--all", "--status",
    "--older-than", "--dry-run", "--max-age", "-v",
]  # fmt: skip


def lines(first: st.SearchStrategy[str], options: list[str]) -> st.SearchStrategy[list[str]]:
    pair = st.tuples(st.sampled_from(options), WORDS | st.sampled_from(["default", "FAILED", "5"])).map(list)
    given = st.lists(pair | st.tuples(WORDS).map(list) | st.sampled_from(options).map(lambda name: [name]), max_size=4)
    return st.tuples(first, given).map(lambda parts: [parts[0], *(word for part in parts[1] for word in part)])


@examples(80)
@given(line=lines(st.sampled_from(WORKER_OPTIONS), WORKER_OPTIONS))
@example(line=["--queues", "\udcff"])
@example(line=["--exclude-queues", "a\0b"])
@example(line=["--queues", "x" * 1_000, "--concurrency", "9" * 30])
def test_a_worker_is_refused_in_words(line: list[str]) -> None:
    """What is wrong with the line, or else that this is a test's transaction."""
    with pytest.raises(CommandError) as refused:
        call_command("taskworker", *line)
    assert str(refused.value).startswith(("Error: ", "There is no backend ", "The connection "))


@examples(80)
@given(name=WORDS, queues=WORDS)
@example(name="w", queues="x" * 1_000)
def test_the_names_that_a_worker_takes_meet_the_database(name: str, queues: str) -> None:
    try:
        identity = Identity(taskworker._name(name), taskworker._names(queues), taskworker._names(queues), 1)
    except ArgumentTypeError:
        return
    with transaction.atomic():
        assert Registry(get_broker("default"), identity).register()
        transaction.set_rollback(True)


@examples(80)
@given(line=lines(st.sampled_from([verb.name for verb in VERBS]), TASKS_OPTIONS))
@example(line=["list", "--queue", "\udcff"])
@example(line=["list", "--task", "a\0b"])
@example(line=["pause", "\udcff"])
@example(line=["show", "\udcff"])
@example(line=["prune", "--older-than", "1e400"])
@example(line=["prune", "--older-than", "9" * 30 + "d"])
@example(line=["health", "--max-age", "1e300"])
def test_tasks_answers_or_refuses(tasks: Callable[..., Ran], line: list[str]) -> None:
    with transaction.atomic():
        scenes.jobs()
        scenes.results(status="FAILED")
        ran = tasks(*line)
        transaction.set_rollback(True)
    assert ran.code in (0, 1, 2)
    assert "Traceback" not in ran.err
    assert ran.out or ran.err
