"""How the databases find what the dashboard asks for, among very many counted minutes and results."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from django_tasks_q.monitoring.problems import Situation
from django_tasks_q.monitoring.problems.history import unpruned
from django_tasks_q.monitoring.statistics import Span, finished_by_queue, series, task_figures

from ..brokers import crowd

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def history(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A day and more of fifty tasks, beside as many results."""
    with django_db_blocker.unblock():
        crowd.fill()
        crowd.fill_statistics()
        yield
        call_command("flush", verbosity=0, interactive=False)


QUESTIONS: dict[str, Callable[[], Any]] = {
    "series": lambda: series(Span.HOUR),
    "tasks": lambda: task_figures(Span.HOUR),
    "pace": lambda: finished_by_queue(600),
    "pruning": lambda: [*unpruned(Situation())] or [True],
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_reads_a_whole_table(history: None, name: str) -> None:
    made: list[tuple[str, Any]] = []

    def remember(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        made.append((sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(remember):
        assert QUESTIONS[name]()
    asked = [(sql, params) for sql, params in made if "django_tasks_q_" in sql]
    assert asked
    said = {
        sql: [text for text in crowd.complaints(sql, params) if text.lower().startswith("scan")]
        for sql, params in asked
    }
    assert {sql: texts for sql, texts in said.items() if texts} == {}
