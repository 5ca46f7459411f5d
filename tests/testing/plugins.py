"""How pytest in another process gets to know the fixtures."""

from importlib.metadata import entry_points

__all__ = ["PLUGIN", "plugin_arguments"]

PLUGIN = "django_tasks_q.testing.plugin"


def plugin_arguments() -> list[str]:
    """Return nothing if the package is installed with its entry point, as it is for users."""
    return [] if entry_points(group="pytest11", name="tasks_q") else ["-p", PLUGIN]
