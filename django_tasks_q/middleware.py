"""Middleware, OPTIONS["middleware"]: code of the project around each enqueue, and around each run of a task."""

import inspect
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connections
from django.db.transaction import TransactionManagementError
from django.utils.module_loading import import_string

from .exceptions import SoftCancel, SoftTimeout

if TYPE_CHECKING:
    from .context import Context
    from .results import TasksQResult

__all__ = ["ENDS_CALLER", "Around", "Chain", "Hook", "Middleware", "NewJob", "import_middleware", "load_chain"]

logger = logging.getLogger("django_tasks_q.middleware")
# Errors after an enqueue that reach the caller: its transaction may be undone, or its task is to end.
ENDS_CALLER = (Error, SoftCancel, SoftTimeout)
# How deep a method may be in calls of itself: what it enqueues passes it again.
DEEPEST = 20
_calling: ContextVar[tuple[str, ...]] = ContextVar("calling", default=())
# Or threads that enqueue their first jobs at once would have instances of their own.
_loading = threading.RLock()


@dataclass(frozen=True, slots=True, eq=False)
class NewJob:
    """A job that is about to be enqueued.

    task_result: what enqueue() will return: id, task, args, kwargs. metadata: that of the task and the call, as a dict
    of this job alone: what is put into it is stored with the job, and must be JSON.
    """

    task_result: "TasksQResult[Any]"
    metadata: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.task_result.id)


class Middleware:
    """The base class of middleware: override one method, or both.

    A method is called before, and may return a context manager (see contextlib.contextmanager) for what is to happen
    after. The first of the list is the outermost one. An error before refuses the enqueue, or fails the run as an
    error of the task does. An error after is logged and changes nothing, but for one of the database after an enqueue,
    which may have undone it: that is raised. An error of the task cannot be hidden.

    There is one instance for each backend in each process, for all of its threads.
    """

    def enqueue(self, jobs: "Sequence[NewJob]") -> AbstractContextManager[Any] | None:
        """Called where jobs are enqueued, in the caller's transaction: once for a call of enqueue_many()."""
        return None

    def run(self, context: "Context") -> AbstractContextManager[Any] | None:
        """Called for each attempt of a job, in the process that runs it. context: the same that the task may take."""
        return None


class Hook(NamedTuple):
    """One method of one middleware. name: what messages call it."""

    name: str
    call: Callable[[Any], AbstractContextManager[Any] | None]


class Chain(NamedTuple):
    """The middleware of a backend, the outermost first; only the methods that are overridden."""

    enqueue: tuple[Hook, ...] = ()
    run: tuple[Hook, ...] = ()


def load_chain(alias: str, paths: tuple[str, ...]) -> Chain:
    """Return the middleware of a backend. Raise ImproperlyConfigured naming the path that is wrong."""
    with _loading:
        return _load_chain(alias, paths)


@cache
def _load_chain(alias: str, paths: tuple[str, ...]) -> Chain:
    made = [(path, _make(alias, path)) for path in paths]
    return Chain(*(_find_hooks(made, method) for method in Chain._fields))


def import_middleware(path: str) -> type[Middleware]:
    """Return the class at a dotted path. Raise ImproperlyConfigured saying why there is none."""
    try:
        found = import_string(path)
    except (Exception, SystemExit) as error:
        raise ImproperlyConfigured(f'"{path}" cannot be imported: {type(error).__name__}: {error}') from error
    if not isinstance(found, type) or not issubclass(found, Middleware):
        raise ImproperlyConfigured(f'"{path}" is not a subclass of {Middleware.__module__}.{Middleware.__name__}.')
    return found


def _make(alias: str, path: str) -> Middleware:
    try:
        kind = import_middleware(path)
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f'TASKS["{alias}"]["OPTIONS"]["middleware"]: {error}') from error
    try:
        return kind()
    except Exception as error:
        error.add_note(
            f'Raised by "{path}" of TASKS["{alias}"]["OPTIONS"]["middleware"], which is called with nothing.'
        )
        raise


def _find_hooks(made: Sequence[tuple[str, Middleware]], method: str) -> tuple[Hook, ...]:
    plain = getattr(Middleware, method)
    return tuple(
        Hook(f"{path}.{method}()", getattr(middleware, method))
        for path, middleware in made
        if getattr(type(middleware), method) is not plain
    )


class Around:
    """Calls hooks before what is in its `with` block, and what they have returned after it.

    logged: the errors after the block that are logged. All others are raised.
    raised: those of them that are raised all the same.
    """

    def __init__(
        self,
        hooks: Sequence[Hook],
        argument: Any,
        logged: type[BaseException] | tuple[type[BaseException], ...] = Exception,
        raised: tuple[type[BaseException], ...] = (),
    ) -> None:
        self._hooks = hooks
        self._argument = argument
        self._logged = logged
        self._raised = raised
        self._open: list[tuple[Hook, AbstractContextManager[Any]]] = []

    def __enter__(self) -> None:
        for hook in self._hooks:
            try:
                self._enter(hook)
            except BaseException as error:
                _name(hook, error)
                self.__exit__(type(error), error, error.__traceback__)
                raise

    def _enter(self, hook: Hook) -> None:
        manager = _call(hook, hook.call, self._argument)
        if manager is None:
            return
        if not isinstance(manager, AbstractContextManager):
            raise TypeError(_wrong(hook, manager))
        blocks = _open_blocks()
        _call(hook, manager.__enter__)
        self._open.append((hook, manager))
        if _open_blocks() > blocks:
            # An error after would undo what is recorded as done.
            raise TransactionManagementError(
                f"{hook.name} keeps a transaction open around the job. End it before; @task(atomic=True) has its own."
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        raised = error
        while self._open:
            other = self._leave(*self._open.pop(), error, traceback)
            if other is not None:
                error, traceback = other, other.__traceback__
        if error is not None and error is not raised:
            raise error

    def _leave(
        self,
        hook: Hook,
        manager: AbstractContextManager[Any],
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> BaseException | None:
        """Call what is after; return an error of it that is to be raised."""
        try:
            kind = None if error is None else type(error)
            if _call(hook, manager.__exit__, kind, error, traceback) and error is not None:
                logger.warning("%s has swallowed %s, which counts all the same.", hook.name, type(error).__name__)
        except BaseException as other:
            if other is error:
                # Without the frames of who has raised it again, unless it refuses attributes.
                with suppress(AttributeError):
                    error.__traceback__ = traceback
            elif isinstance(other, self._logged) and not isinstance(other, self._raised):
                logger.error("%s has failed after the end, which changes nothing.", hook.name, exc_info=other)
            else:
                return other
        return None


def _call(hook: Hook, function: Callable[..., Any], *args: Any) -> Any:
    """Call a part of a hook. Raise RecursionError where it enqueues without end, because its own jobs pass it too."""
    calling = _calling.get()
    if calling.count(hook.name) >= DEEPEST:
        raise RecursionError(
            f"{hook.name} enqueues a job for each job, and its own pass it too, without end. "
            "Have it return at once for jobs that it has enqueued itself."
        )
    token = _calling.set((*calling, hook.name))
    try:
        return function(*args)
    finally:
        _calling.reset(token)


def _open_blocks() -> int:
    return sum(len(connection.atomic_blocks) for connection in connections.all(initialized_only=True))


def _name(hook: Hook, error: BaseException) -> None:
    """Have a traceback name the middleware; an error may be raised more than once."""
    note = f"Raised by the middleware {hook.name}."
    if note not in getattr(error, "__notes__", ()):
        # A frozen dataclass may be an exception, and takes no note.
        with suppress(AttributeError):
            error.add_note(note)


def _wrong(hook: Hook, returned: Any) -> str:
    if inspect.iscoroutine(returned):
        # Or Python warns that nobody has awaited it.
        returned.close()
        return f"{hook.name} is async. Middleware is not, around async tasks neither: write def, and @contextmanager."
    hint = " Put @contextlib.contextmanager before the method." if inspect.isgenerator(returned) else ""
    return f"{hook.name} must return a context manager or None, not {type(returned).__name__}.{hint}"
