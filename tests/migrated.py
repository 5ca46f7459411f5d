import pkgutil

from django_tasks_q import migrations

__all__ = ["LATEST"]

# The name of the package's last migration.
LATEST = max(module.name for module in pkgutil.iter_modules(migrations.__path__) if module.name[0] != "_")
