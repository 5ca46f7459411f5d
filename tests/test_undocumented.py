"""What this package uses of Django, psycopg and Python that their documentation does not promise.

If one of these fails with a new version, its user is named beside it.
"""

import inspect
import re
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

import django_tasks_q

PACKAGE = Path(django_tasks_q.__file__).parent
# Attributes of a Django connection, and the type of each.
OF_A_CONNECTION = {
    "atomic_blocks": list,
    "closed_in_transaction": bool,
    "errors_occurred": bool,
    "execute_wrappers": list,
    "in_atomic_block": bool,
    "needs_rollback": bool,
    "run_on_commit": list,
    "savepoint_ids": list,
}
# Names that begin with an underscore and belong to others, each with the file that uses it.
PRIVATE = {"_execute_with_wrappers": "brokers/postgresql", "_ParameterKind": "schedules/task_info"}
# These are documented in spite of that.
DOCUMENTED = {"_default_manager", "_exit", "_meta", "_state", "_value_"}
OWN = re.compile(r"(?:\bself|\bcls|super\(\)|\bbase)\._\w+|\._(?:replace|make|asdict|fields|field_defaults)\b")
ACCESS = re.compile(r"(?<=[\w\])])\.(_[A-Za-z]\w*)")


def used() -> set[str]:
    """Return the private names that the package uses of anything but its own objects."""
    own = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"(?:def |self\.|^\s*|class )(_[A-Za-z]\w*)", path.read_text(), re.MULTILINE)
    }
    texts = (OWN.sub("", path.read_text()) for path in PACKAGE.rglob("*.py") if "migrations" not in path.parts)
    return {name for text in texts for name in ACCESS.findall(text)} - own - DOCUMENTED


def test_each_private_name_that_is_used_stands_here() -> None:
    assert used() == set(PRIVATE)


@pytest.mark.django_db
@pytest.mark.parametrize("name", OF_A_CONNECTION)
def test_a_connection_has(name: str) -> None:
    # brokers, notifiers, waiting, testing/connections, worker/child/connections
    assert isinstance(getattr(connection, name), OF_A_CONNECTION[name])
    assert callable(connection.wrap_database_errors.__enter__)


@pytest.mark.django_db
def test_a_callback_after_a_commit_comes_with_its_savepoints() -> None:
    # notifiers: one wake-up for a transaction, however many enqueues it has.
    def callback() -> None: ...

    with transaction.atomic():
        transaction.on_commit(callback)
        savepoints, function, *_ = connection.run_on_commit[-1]
        assert (savepoints, function) == (set(connection.savepoint_ids), callback)
        connection.run_on_commit.pop()


def test_a_cursor_runs_wrappers_around_any_statement() -> None:
    # brokers/postgresql: COPY is seen by what counts or refuses statements.
    parameters = inspect.signature(CursorWrapper._execute_with_wrappers).parameters
    assert list(parameters) == ["self", "sql", "params", "many", "executor"]


def test_kinds_of_parameters_are_numbers() -> None:
    # schedules/task_info: they travel as numbers.
    assert {int(kind) for kind in inspect._ParameterKind} == {0, 1, 2, 3, 4}


@pytest.mark.only_on("postgresql")
@pytest.mark.django_db
def test_a_psycopg_connection_waits_by_a_method_that_can_be_replaced() -> None:
    # brokers/meanwhile and worker/child/statements. Of its own: another test may have replaced it in Django's.
    raw = connection.get_new_connection(connection.get_connection_params())
    assert next(iter(inspect.signature(raw.wait).parameters)) == "gen"
    calls = []
    wait = raw.wait
    raw.wait = lambda generator, *args, **kwargs: calls.append(generator) or wait(generator, *args, **kwargs)
    raw.execute("SELECT 1")
    assert calls
    # notifiers/postgresql reads what has arrived without a statement.
    assert callable(raw.pgconn.notifies)
    assert callable(raw.pgconn.consume_input)
    assert int(raw.pgconn.transaction_status) in range(5)
    raw.close()
