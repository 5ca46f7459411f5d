"""The @task decorator and its options, the same on every supported Django."""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    overload,
)
from uuid import UUID

from asgiref.sync import sync_to_async
from django.utils.module_loading import import_string

from .compat import (
    DEFAULT_TASK_BACKEND_ALIAS,
    DEFAULT_TASK_PRIORITY,
    DEFAULT_TASK_QUEUE_NAME,
    BaseTask,
    task_backends,
)
from .exceptions import UnknownTask
from .habits import Habits
from .retries import Backoff
from .sending import enqueue_after_commit, enqueue_calls, read_call
from .task_options import OPTION_NAMES, DecoratorSettings, TaskSettings, clean_options

if TYPE_CHECKING:
    from .compat import TaskContext
    from .context import Context
    from .results import TasksQResult

__all__ = ["Task", "declared_task", "task", "varied"]

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
# The arguments of one call among many: by position, or by name.
Arguments = tuple[Any, ...] | list[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Habits, BaseTask, Generic[P, R]):
    """Django's Task with this package's options. None leaves the choice to the backend's OPTIONS.

    Task[P, R] to a type checker: P are the parameters of the function, without the context, R is what it returns.

    max_attempts: how often the task may run; 1 means no retry, 0 means no limit.
    backoff: how long to wait between attempts: a policy of `retries`, seconds, or a sequence of seconds.
    retry_on: the exceptions that are retried; every Exception if there is none.
    dont_retry_on: exceptions to retry_on, such as subclasses of one in it.
    timeout: seconds or timedelta after which the process that runs the task is killed.
    soft_timeout: seconds or timedelta after which SoftTimeout is raised in the task.
    metadata: JSON that is stored with the job; context.metadata in the task.
    atomic: run the task and record its completion in one transaction of the queue's database.
    store_result: keep the return value.
    """

    max_attempts: int | None = None
    backoff: Backoff | None = None
    retry_on: tuple[type[BaseException], ...] | None = None
    dont_retry_on: tuple[type[BaseException], ...] | None = None
    timeout: float | None = None
    soft_timeout: float | None = None
    metadata: Mapping[str, Any] | None = field(default=None, hash=False)
    atomic: bool | None = None
    store_result: bool | None = None

    def __post_init__(self) -> None:
        for name, value in clean_options({name: getattr(self, name) for name in OPTION_NAMES}).items():
            object.__setattr__(self, name, value)
        # A slotted dataclass is created twice; before Python 3.14 super() refers to the first one.
        BaseTask.__post_init__(self)

    if TYPE_CHECKING:
        # Inherited: the framework's own are not typed on every Django, and know nothing about our results.
        func: Callable[..., Any]

        def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TasksQResult[R]: ...
        async def aenqueue(self, *args: P.args, **kwargs: P.kwargs) -> TasksQResult[R]: ...
        def call(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
        async def acall(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
        def get_result(self, result_id: str | UUID) -> TasksQResult[R]: ...
        async def aget_result(self, result_id: str | UUID) -> TasksQResult[R]: ...

    def using(
        self,
        *,
        priority: int | None = None,
        queue_name: str | None = None,
        run_after: datetime | timedelta | None = None,
        backend: str | None = None,
        **options: Unpack[TaskSettings],
    ) -> Self:
        """Return a copy with other settings; None leaves one as it is. Raise TypeError for an unknown option."""
        _refuse_unknown("using()", options, ("priority", "queue_name", "run_after", "backend"))
        given: dict[str, Any] = {**options, "priority": priority, "queue_name": queue_name}
        given |= {"run_after": run_after, "backend": backend}
        if given.get("metadata") and self.metadata:
            given["metadata"] = {**self.metadata, **given["metadata"]}
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def enqueue_on_commit(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Enqueue when the current transaction commits, or now if there is none.

        Enqueueing is part of the transaction anyway; use this if the queue is in another database than the one you
        write to.
        """
        enqueue_after_commit(self, args, kwargs)

    def enqueue_many(self, calls: Iterable[Arguments]) -> "list[TasksQResult[R]]":
        """Enqueue one call for each item, and return their results in the same order: all are stored, or none.

        An item is a tuple or list of arguments, or a dict of those by name. Raise as enqueue(), naming the number.
        """
        return enqueue_calls(self.get_backend(), [read_call(self, *numbered) for numbered in enumerate(calls)])

    async def aenqueue_many(self, calls: Iterable[Arguments]) -> "list[TasksQResult[R]]":
        """See enqueue_many()."""
        return await sync_to_async(self.enqueue_many, thread_sensitive=True)(calls)


def declared_task(path: str) -> BaseTask:
    """Return the task that is defined at a path: only functions with a decorator may be run.

    Raise UnknownTask with the reason if there is none: importing a module can fail in any way, and a script may exit.
    """
    try:
        found = import_string(path)
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(". ")
        raise UnknownTask(f"There is no task at {path!r}: {reason}.") from error
    if not isinstance(found, BaseTask):
        raise UnknownTask(f"There is no task at {path!r}: it has no @task decorator.")
    return found


def varied(task: BaseTask, changes: Mapping[str, Any]) -> BaseTask:
    """Return a copy with other values, not validated: changed settings do not change an existing job."""
    copy: BaseTask = object.__new__(type(task))
    for item in fields(task):
        object.__setattr__(copy, item.name, changes.get(item.name, getattr(task, item.name)))
    return copy


if TYPE_CHECKING:
    F = ParamSpec("F")
    T = TypeVar("T")

    class ContextTask(Task[P, R]):
        """A task that takes a context: call() needs one."""

        def call(self, context: Context, /, *args: P.args, **kwargs: P.kwargs) -> R: ...  # type: ignore[override]
        async def acall(self, context: Context, /, *args: P.args, **kwargs: P.kwargs) -> R: ...  # type: ignore[override]

    class Decorator(Protocol):
        @overload
        def __call__(self, function: Callable[F, Coroutine[Any, Any, T]], /) -> Task[F, T]: ...
        @overload
        def __call__(self, function: Callable[F, T], /) -> Task[F, T]: ...

    class ContextDecorator(Protocol):
        @overload
        def __call__(
            self, function: Callable[Concatenate[Context, F], Coroutine[Any, Any, T]], /
        ) -> ContextTask[F, T]: ...
        @overload
        def __call__(self, function: Callable[Concatenate[Context, F], T], /) -> ContextTask[F, T]: ...
        @overload
        def __call__(
            self, function: Callable[Concatenate[TaskContext, F], Coroutine[Any, Any, T]], /
        ) -> ContextTask[F, T]: ...
        @overload
        def __call__(self, function: Callable[Concatenate[TaskContext, F], T], /) -> ContextTask[F, T]: ...


if TYPE_CHECKING:

    @overload
    def task(function: Callable[F, Coroutine[Any, Any, T]], /, **options: Unpack[DecoratorSettings]) -> Task[F, T]: ...
    @overload
    def task(function: Callable[F, T], /, **options: Unpack[DecoratorSettings]) -> Task[F, T]: ...
    @overload
    def task(*, takes_context: Literal[True], **options: Unpack[DecoratorSettings]) -> ContextDecorator: ...
    @overload
    def task(*, takes_context: Literal[False] = ..., **options: Unpack[DecoratorSettings]) -> Decorator: ...


def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    priority: int = DEFAULT_TASK_PRIORITY,
    queue_name: str = DEFAULT_TASK_QUEUE_NAME,
    backend: str = DEFAULT_TASK_BACKEND_ALIAS,
    takes_context: bool = False,
    **options: Any,
) -> Any:
    """Make a task of a function: Django's decorator, with the options of `Task`, on every supported Django.

    Raise InvalidTask for an invalid option, TypeError for an unknown one.
    """
    if "run_after" in options:
        raise TypeError(
            "run_after cannot be defined statically with the @task decorator. "
            "Use .using(run_after=...) to set it dynamically."
        )
    _refuse_unknown("@task", options, ("priority", "queue_name", "backend", "takes_context"))

    def decorate(func: Callable[..., Any]) -> Task[..., Any]:
        kind = task_backends[backend].task_class
        made: Task[..., Any] = (kind if issubclass(kind, Task) else Task)(
            func=func,
            priority=priority,
            queue_name=queue_name,
            backend=backend,
            run_after=None,
            takes_context=takes_context,
            **options,
        )
        return made

    return decorate(function) if function else decorate


def _refuse_unknown(name: str, options: Mapping[str, object], own: Sequence[str]) -> None:
    """Raise TypeError for an option that there is not. own: what is taken beside the options of all tasks."""
    if unknown := sorted(set(options) - set(OPTION_NAMES)):
        raise TypeError(f"{name} got an unknown option {unknown[0]!r}. Options: {', '.join([*own, *OPTION_NAMES])}.")
