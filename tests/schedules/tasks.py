"""Tasks for the tests of schedules; not in a module that workers import by themselves."""

from django_tasks_q import task

__all__ = ["special"]


@task(queue_name="special", priority=7, metadata={"its": "own"})
def special() -> None:
    """Do nothing."""
