"""What is known about a task without its code: a supervisor has none, and asks the fork server."""

import inspect
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..compat import BaseTask
from ..exceptions import UnknownTask
from ..task import declared_task

__all__ = ["TaskInfo", "describe_task", "info_of"]


class TaskInfo(NamedTuple):
    """Where the calls of a task go, and which are valid.

    parameters: of the function without its context, each (name, kind, whether it has a default).
    """

    backend: str
    queue_name: str
    priority: int
    metadata: dict[str, object]
    parameters: list[tuple[str, int, bool]]

    def refusal(self, args: Sequence[object], kwargs: Mapping[str, object]) -> str | None:
        """Return why a call with these arguments would fail, as Python says it; None if it would not."""
        try:
            self._signature().bind(*args, **kwargs)
        except TypeError as error:
            return str(error)
        return None

    def _signature(self) -> inspect.Signature:
        kinds = {int(kind): kind for kind in inspect._ParameterKind}
        return inspect.Signature(
            [
                inspect.Parameter(name, kinds[kind], default=None if has_default else inspect.Parameter.empty)
                for name, kind, has_default in self.parameters
            ]
        )


def info_of(task: BaseTask) -> TaskInfo:
    """Return what is known about a task."""
    parameters = list(inspect.signature(task.func).parameters.values())
    if task.takes_context:
        parameters = parameters[1:]
    return TaskInfo(
        backend=task.backend,
        queue_name=task.queue_name,
        priority=int(task.priority),
        metadata=dict(getattr(task, "metadata", None) or {}),
        parameters=[(item.name, int(item.kind), item.default is not item.empty) for item in parameters],
    )


def describe_task(path: str) -> TaskInfo | str:
    """Return what is known about the task at a path, or why there is none."""
    try:
        return info_of(declared_task(path))
    except UnknownTask as error:
        return str(error)
