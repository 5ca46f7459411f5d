from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations import AlterModelOptions, CreateModel, Migration
from django.db.migrations.loader import MigrationLoader

from django_tasks_q.models import Job, Queue, Result, Schedule, ScheduleRun, Statistics, Worker

from .tasks import add

APP = "django_tasks_q"
TABLES = {model._meta.db_table for model in (Job, Queue, Result, Schedule, ScheduleRun, Statistics, Worker)}
FIRST = {model._meta.db_table for model in (Job, Queue, Result, Worker)}
INDEXES = {
    "tasksq_job_claim",
    "tasksq_job_scheduled",
    "tasksq_job_running",
    "tasksq_result_status",
    "tasksq_result_task",
    "tasksq_queue_name",
    "tasksq_schedule_name",
    "tasksq_schedule_due",
    "tasksq_run_slot",
    "tasksq_run_job",
    "tasksq_run_fired",
}


def migrate(*target: str) -> None:
    call_command("migrate", APP, *target, verbosity=0)


def migrations() -> list[Migration]:
    return [migration for key, migration in sorted(MigrationLoader(None).disk_migrations.items()) if key[0] == APP]


def tables() -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.table_names(cursor))


def indexes() -> set[str]:
    found: set[str] = set()
    with connection.cursor() as cursor:
        for table in TABLES:
            found |= connection.introspection.get_constraints(cursor, table).keys()
    return found


@pytest.fixture
def back_to_the_present(transactional_db: None) -> Iterator[None]:
    yield
    migrate()


def test_backwards_nothing_is_left_and_forwards_everything_is_there(back_to_the_present: None) -> None:
    add.enqueue(1, 2)
    migrate("zero")
    assert not TABLES & tables()
    migrate()
    assert tables() >= TABLES
    assert indexes() >= INDEXES
    result = add.enqueue(1, 2)
    assert add.get_result(result.id) == result
    assert Job.objects.count() == 1


@pytest.mark.django_db(databases=["default", "queue"])
def test_the_migrations_say_what_the_models_say() -> None:
    output = StringIO()
    try:
        call_command("makemigrations", APP, "--check", "--dry-run", "-v", "3", stdout=output)
    except SystemExit:
        pytest.fail(f"The models have changed:\n{output.getvalue()}")


def test_no_migration_locks_two_tables_at_a_time() -> None:
    """A running worker, which uses several in one transaction, and the migration could wait for each other."""
    _, *later = migrations()
    for migration in later:
        # A table that is created here is in no worker's hands yet, and options are not in the database.
        created = {operation.name_lower for operation in migration.operations if isinstance(operation, CreateModel)}
        changes = [item for item in migration.operations if not isinstance(item, CreateModel | AlterModelOptions)]
        tables = {getattr(operation, "model_name", operation) for operation in changes} - created
        assert not migration.atomic or len(tables) <= 1, migration.name


@pytest.mark.django_db(transaction=True)
def test_the_sql_of_each_migration_can_be_shown() -> None:
    output = StringIO()
    first, *later = migrations()
    call_command("sqlmigrate", APP, first.name, stdout=output)
    assert all(table in output.getvalue() for table in FIRST)
    for migration in later:
        call_command("sqlmigrate", APP, migration.name, stdout=output)
    assert all(table in output.getvalue() for table in TABLES)
