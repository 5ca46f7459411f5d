from django_tasks_q import task


@task
def early() -> None:
    """Do nothing."""
