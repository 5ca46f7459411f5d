"""Whether a database has the tables of this version."""

from django.db.migrations.executor import MigrationExecutor

__all__ = ["APP", "find_unapplied"]

APP = "django_tasks_q"


def find_unapplied(executor: MigrationExecutor) -> list[str]:
    """Return the names of this package's migrations that the executor's database lacks, in their order."""
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(APP))
    return [migration.name for migration, _ in plan if migration.app_label == APP]
