"""The migrations of before the first release are one; tables that were made by them become those of a new database."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from django_tasks_q.models import Job, Queue, Result, Schedule, Worker

from .tasks import add
from .test_migrations import APP, TABLES, back_to_the_present, migrate, tables

__all__ = ["back_to_the_present"]

ONE = "0001_squashed_0009_sleepers"
# The condition of a partial index is in none of what Django reads.
INDEXES = {
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = %s",
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = %s",
    "mysql": "SELECT index_name, index_comment FROM information_schema.statistics WHERE table_name = %s",
}


def schema() -> dict[str, Any]:
    """Return what the database has of the tables: columns in any order, constraints and indexes."""
    with connection.cursor() as cursor:
        return {table: _shape(cursor, table) for table in sorted(TABLES | {"django_tasks_q_sleeper"})}


def _shape(cursor: Any, table: str) -> Any:
    columns = {item.name: _declared(item) for item in connection.introspection.get_table_description(cursor, table)}
    constraints = connection.introspection.get_constraints(cursor, table)
    cursor.execute(INDEXES[settings.DATABASE], [table])
    return columns, constraints, set(cursor.fetchall())


def _declared(column: Any) -> Any:
    """Return a column without the length of its longest value, which is all that some drivers put there."""
    return column._replace(display_size=None)


def migrate_as_before(name: str) -> Any:
    """Bring the tables to one of the migrations that were replaced, as their own releases did; return its models."""
    executor = MigrationExecutor(connection)
    executor.loader.replace_migrations = False
    executor.loader.build_graph()
    state = executor.migrate([(APP, name)])
    # Those releases knew of no other.
    MigrationRecorder(connection).record_unapplied(APP, ONE)
    return state.apps


def fill(apps: Any) -> None:
    now = timezone.now()
    common = {"task_path": "tests.tasks.add", "args": [1, 2], "kwargs": {}, "enqueued_at": now}
    apps.get_model(APP, "Job").objects.create(**common)
    apps.get_model(APP, "Result").objects.create(**common, status="FAILED", finished_at=now, error_group="ValueError")
    apps.get_model(APP, "Queue").objects.create(name="mail", paused=True)
    apps.get_model(APP, "Schedule").objects.create(name="nightly", task_path="tests.tasks.add", expression="0 3 * * *")
    apps.get_model(APP, "Worker").objects.create(
        id="web1-1", host="web1", node="n", pid=1, concurrency=2, started_at=now, heartbeat_at=now, status="OFFLINE"
    )


def applied() -> set[str]:
    return {name for app, name in MigrationRecorder(connection).applied_migrations() if app == APP}


def check_rows() -> None:
    assert Job.objects.get().args == [1, 2]
    assert Job.objects.get().begun_at is None
    assert Result.objects.get().error_group == "ValueError"
    assert Queue.objects.get(name="mail").paused
    assert Schedule.objects.get(name="nightly").expression == "0 3 * * *"
    assert Worker.objects.get().trouble == ""


def test_a_new_database_needs_one_migration(back_to_the_present: None) -> None:
    executor = MigrationExecutor(connection)
    targets = [key for key in executor.loader.graph.leaf_nodes() if key[0] == APP]
    plan = [migration.name for migration, _ in executor.migration_plan(targets, clean_start=True)]
    assert plan[0] == ONE
    assert not {name for _, name in executor.loader.replacements[APP, ONE].replaces} & set(plan)


def test_tables_of_earlier_become_those_of_a_new_database(back_to_the_present: None) -> None:
    migrate("zero")
    migrate()
    expected = schema()
    for name in ("0007_logs", "0009_sleepers"):
        migrate("zero")
        assert not tables() & TABLES
        fill(migrate_as_before(name))
        migrate()
        assert schema() == expected, name
        check_as_new()


def check_as_new() -> None:
    """See that everything is recorded, that no row is lost, and that the tables can be used."""
    assert ONE in applied()
    call_command("migrate", APP, check_unapplied=True, verbosity=0)
    check_rows()
    result = add.enqueue(1, 2)
    assert add.get_result(result.id) == result
