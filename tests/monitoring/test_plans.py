"""How the databases find what the dashboard asks for, among very many counted minutes and results."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from django_tasks_q.models.statistics import SUMS
from django_tasks_q.monitoring.statistics import Span, finished_by_queue, series, task_figures
from django_tasks_q.monitoring.troubles import Situation, _unpruned

from ..brokers import crowd

pytestmark = pytest.mark.django_db

ROWS = 100_000
TABLE = "django_tasks_q_statistics"
AT = {
    "postgresql": "now() - (n / 50) * interval '1 minute'",
    "mysql": "UTC_TIMESTAMP(6) - INTERVAL (n DIV 50) MINUTE",
    "sqlite": "datetime('now', (-(n / 50)) || ' minutes')",
}[settings.DATABASE]
TEXT = {"postgresql": "'t' || (n % 50)", "mysql": "CONCAT('t', n % 50)", "sqlite": "'t' || (n % 50)"}[
    settings.DATABASE
]


@pytest.fixture(scope="module")
def history(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """A day and more of fifty tasks, beside as many results."""
    with django_db_blocker.unblock():
        crowd.fill()
        _count()
        yield
        call_command("flush", verbosity=0, interactive=False)


def _count() -> None:
    columns = {"backend": "'default'", "period": "60", "at": AT, "queue_name": "'default'", "task_path": TEXT}
    columns |= dict.fromkeys(SUMS, "1")
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {TABLE} ({', '.join(columns)}) SELECT {', '.join(columns.values())}"
            f" FROM {crowd.NUMBERS} WHERE n <= {ROWS}"
        )
        cursor.execute(crowd.DIALECT.analyze.format(TABLE))
        cursor.fetchall() if cursor.description else None


QUESTIONS: dict[str, Callable[[], Any]] = {
    "series": lambda: series(Span.HOUR),
    "tasks": lambda: task_figures(Span.HOUR),
    "pace": lambda: finished_by_queue(600),
    "pruning": lambda: [*_unpruned(Situation())] or [True],
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_question_reads_a_whole_table(history: None, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(crowd, "TABLES", (*crowd.TABLES, TABLE))
    monkeypatch.setattr(crowd, "SCANS", [*crowd.SCANS, ["SCAN", TABLE]])
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
