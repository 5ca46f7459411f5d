import pkgutil

from django.db.migrations.autodetector import MigrationAutodetector

from django_tasks_q import migrations

__all__ = ["LATEST"]


def _rank(name: str) -> tuple[int, bool]:
    """Order by the number up to which a migration goes; one that replaces others comes after the last of them."""
    return MigrationAutodetector.parse_number(name) or 0, "_squashed_" in name


# The name of the package's last migration.
LATEST = max((module.name for module in pkgutil.iter_modules(migrations.__path__) if module.name[0] != "_"), key=_rank)
