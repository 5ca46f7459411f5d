"""Middleware for the tests, and for the workers that they start."""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from django_tasks_q import Context, Ignore, SoftTimeout
from django_tasks_q.middleware import Middleware, NewJob

# What has happened, in this process.
EVENTS: list[str] = []
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class RequestId(Middleware):
    """Carries a request's id from where a job is enqueued to where it runs."""

    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        if request_id.get():
            for job in jobs:
                job.metadata.setdefault("request_id", request_id.get())

    def run(self, context: Context) -> None:
        request_id.set(context.metadata.get("request_id", "none"))


class Recording(Middleware):
    """Writes down what it sees, under its name."""

    name = "outer"

    @contextmanager
    def enqueue(self, jobs: Sequence[NewJob]) -> Iterator[None]:
        EVENTS.append(f"{self.name} enqueues {len(jobs)}")
        with self.seen("enqueue"):
            yield

    @contextmanager
    def run(self, context: Context) -> Iterator[None]:
        EVENTS.append(f"{self.name} runs {context.attempt}")
        with self.seen("run"):
            yield

    @contextmanager
    def seen(self, what: str) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            EVENTS.append(f"{self.name} sees {type(error).__name__}")
            raise
        EVENTS.append(f"{self.name} ends {what}")


class Inner(Recording):
    name = "inner"


class RaisesBefore(Middleware):
    error: type[BaseException] = ValueError

    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        raise self.error("not so")

    def run(self, context: Context) -> None:
        raise self.error("not so")


class EndsBefore(RaisesBefore):
    error = SystemExit


class StopsBefore(RaisesBefore):
    class Stop(BaseException):
        pass

    error = Stop


class IgnoresRuns(Middleware):
    def run(self, context: Context) -> None:
        raise Ignore("Closed today.")


class RaisesAfter(Middleware):
    error: type[BaseException] = ValueError

    @contextmanager
    def enqueue(self, jobs: Sequence[NewJob]) -> Iterator[None]:
        yield from self.fail()

    @contextmanager
    def run(self, context: Context) -> Iterator[None]:
        yield from self.fail()

    def fail(self) -> Iterator[None]:
        try:
            yield
        finally:
            raise self.error("too late")


class LeavesToCommit(Middleware):
    @contextmanager
    def run(self, context: Context) -> Iterator[None]:
        transaction.on_commit(lambda: EVENTS.append("before is committed"))
        try:
            yield
        finally:
            transaction.on_commit(lambda: EVENTS.append("after is committed"))


class EndsAfter(RaisesAfter):
    error = SystemExit


class StopsAfter(RaisesAfter):
    error = StopsBefore.Stop


class CancelsAfter(RaisesAfter):
    error = asyncio.CancelledError


class Swallows(Middleware):
    @contextmanager
    def enqueue(self, jobs: Sequence[NewJob]) -> Iterator[None]:
        yield from self.hide()

    @contextmanager
    def run(self, context: Context) -> Iterator[None]:
        yield from self.hide()

    def hide(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            EVENTS.append("swallowed")


class RaisesAgain(Middleware):
    """Has a context manager that is a class of its own."""

    def run(self, context: Context) -> Any:
        return self

    def __enter__(self) -> None:
        EVENTS.append("entered")

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            raise error


class NoManager(Middleware):
    """Forgets the decorator."""

    def enqueue(self, jobs: Sequence[NewJob]) -> Iterator[None]:  # type: ignore[override]
        yield

    def run(self, context: Context) -> Iterator[None]:  # type: ignore[override]
        yield


class ReturnsText(Middleware):
    def enqueue(self, jobs: Sequence[NewJob]) -> Any:
        return "text"

    def run(self, context: Context) -> Any:
        return "text"


class IsAsync(Middleware):
    async def enqueue(self, jobs: Sequence[NewJob]) -> None:  # type: ignore[override]
        pass

    async def run(self, context: Context) -> None:  # type: ignore[override]
        pass


class HasAsyncManager(Middleware):
    @asynccontextmanager
    async def run(self, context: Context) -> Any:
        yield


class YieldsTwice(Middleware):
    @contextmanager
    def run(self, context: Context) -> Iterator[None]:
        yield
        yield


class YieldsNever(Middleware):
    @contextmanager
    def run(self, context: Context) -> Iterator[None]:
        return
        yield


class Unserialisable(Middleware):
    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        for job in jobs:
            job.metadata["request_id"] = uuid.uuid4()

    def run(self, context: Context) -> None:
        context.metadata["now"] = uuid.uuid4()  # type: ignore[index]


class Huge(Middleware):
    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        jobs[0].metadata["x"] = "x" * 2_000


class CannotBeMade(Middleware):
    def __init__(self, name: str) -> None:
        self.name = name


class QueriesAfter(Middleware):
    """Has the database refuse a statement."""

    @contextmanager
    def enqueue(self, jobs: Sequence[NewJob]) -> Iterator[None]:
        yield
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")


class Interrupted(RaisesAfter):
    error = SoftTimeout


class KeepsOpen(Middleware):
    """Keeps a transaction open."""

    @contextmanager
    def enqueue(self, jobs: Sequence[NewJob]) -> Iterator[None]:
        with transaction.atomic():
            yield

    run = enqueue  # type: ignore[assignment]


class Turns(Middleware):
    """Sees the jobs as what can be compared and not be changed."""

    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        assert len({*jobs}) == len(jobs)
        assert not hasattr(jobs, "sort")


class RaisesFrozen(RaisesBefore):
    @dataclass(frozen=True)
    class Frozen(Exception):
        text: str

    error = Frozen


class ChangesTask(Middleware):
    """Changes what it was given to look at."""

    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        for job in jobs:
            job.task_result.task.metadata["from"] = "middleware"  # type: ignore[index]


class TakesOut(Middleware):
    """Takes all out of the metadata."""

    def enqueue(self, jobs: Sequence[NewJob]) -> None:
        for job in jobs:
            job.metadata.clear()


class Enqueues(Middleware):
    """Enqueues a job for each job, and for those as well."""

    def enqueue(self, jobs: Sequence[NewJob]) -> Any:
        EVENTS.append("enqueues")
        jobs[0].task_result.task.enqueue(*jobs[0].task_result.args)


class EnqueuesAfter(Middleware):
    @contextmanager
    def enqueue(self, jobs: Sequence[NewJob]) -> Iterator[None]:
        yield
        EVENTS.append("enqueues")
        jobs[0].task_result.task.enqueue(*jobs[0].task_result.args)
