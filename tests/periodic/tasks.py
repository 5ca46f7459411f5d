from django_tasks_q import Context, every, periodic, task

from ..models import Effect

__all__ = ["hourly", "leave_effect"]


@periodic(every(seconds=1), name="each second")
@task(takes_context=True)
def leave_effect(context: Context) -> str:
    """Leave an effect that names the slot."""
    slot: str = context.metadata["schedule"]["slot"]
    Effect.objects.create(label=slot, attempt=context.attempt)
    return slot


@periodic(every(hours=1), args=["of each hour"])
@task
def hourly(message: str) -> str:
    return message
