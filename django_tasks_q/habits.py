"""What people do with a task who come from another queue, or take it for a function; and what to do instead."""

from typing import TYPE_CHECKING, NoReturn

__all__ = ["Habits"]

INSTEAD = {
    "delay": "write {name}.enqueue(...)",
    "apply_async": "write {name}.enqueue(...), or {name}.using(run_after=..., queue_name=...).enqueue(...)",
    "apply": "write {name}.call(...) to run it here, or {name}.enqueue(...)",
    "delay_on_commit": "write {name}.enqueue(...): it is part of the transaction anyway",
    "send": "write {name}.enqueue(...)",
    "send_with_options": "write {name}.using(...).enqueue(...)",
    "defer": "write {name}.enqueue(...)",
    "schedule": "write {name}.using(run_after=...).enqueue(...)",
    "signature": "there are no signatures; enqueue the next task at the end of the one before",
    "retry": "raise django_tasks_q.Retry(after=...) in the task",
    "AsyncResult": "write {name}.get_result(id), or django_tasks_q.get_result(id)",
}
INSTEAD |= dict.fromkeys(("s", "si", "subtask"), INSTEAD["signature"])


class Habits:
    """A base of Task. To a type checker it is empty: what it explains is an error there."""

    __slots__ = ()

    if not TYPE_CHECKING:
        # A template would call whatever can be called.
        do_not_call_in_templates = True

        def __call__(self, *args: object, **kwargs: object) -> NoReturn:
            raise TypeError(
                f"A task is not called like a function: write {self.name}.enqueue(...) to have a worker run it, or "
                f"{self.name}.call(...) to run it here and now."
            )

        def __getattr__(self, name: str) -> NoReturn:
            text = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in INSTEAD:
                text += f": {INSTEAD[name].format(name=self.name)}."
            raise AttributeError(text, name=name, obj=self)
