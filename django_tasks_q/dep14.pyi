"""What DEP 14 says of tasks and their results, for type checkers that do not know Django's own classes."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

DEFAULT_TASK_BACKEND_ALIAS: str
DEFAULT_TASK_PRIORITY: int
DEFAULT_TASK_QUEUE_NAME: str
TASK_REFRESH_ATTRS: set[str]

class TaskResultStatus(enum.StrEnum):
    READY = "READY"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    SUCCESSFUL = "SUCCESSFUL"
    @property
    def label(self) -> str: ...

@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    func: Callable[..., Any]
    priority: int = ...
    backend: str = ...
    queue_name: str = ...
    run_after: datetime | None = None
    takes_context: bool = ...
    def __post_init__(self) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def module_path(self) -> str: ...
    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | None = None,
        backend: str | None = None,
    ) -> Task: ...
    def enqueue(self, *args: Any, **kwargs: Any) -> TaskResult: ...
    async def aenqueue(self, *args: Any, **kwargs: Any) -> TaskResult: ...
    def call(self, *args: Any, **kwargs: Any) -> Any: ...
    async def acall(self, *args: Any, **kwargs: Any) -> Any: ...
    def get_result(self, result_id: str) -> TaskResult: ...
    async def aget_result(self, result_id: str) -> TaskResult: ...
    def get_backend(self) -> Any: ...

@dataclass(frozen=True, slots=True, kw_only=True)
class TaskError:
    exception_class_path: str
    traceback: str
    @property
    def exception_class(self) -> type[BaseException]: ...

@dataclass(frozen=True, slots=True, kw_only=True)
class TaskResult:
    task: Task
    id: str
    status: TaskResultStatus
    enqueued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    last_attempted_at: datetime | None
    args: list[Any]
    kwargs: dict[str, Any]
    backend: str
    errors: list[TaskError]
    worker_ids: list[str]
    def __post_init__(self) -> None: ...
    @property
    def return_value(self) -> Any: ...
    @property
    def is_finished(self) -> bool: ...
    @property
    def attempts(self) -> int: ...
    def refresh(self) -> None: ...
    async def arefresh(self) -> None: ...

@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    task_result: TaskResult
    @property
    def attempt(self) -> int: ...
