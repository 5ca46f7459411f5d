"""A module that cannot be imported, as after half a deployment."""

from django_tasks_q import task

raise RuntimeError("half deployed")


@task
def unreachable() -> None: ...
