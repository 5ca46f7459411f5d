"""Calls as a user writes them. mypy and pyright refuse the lines that are marked as errors, and no other ones.

It is read by type checkers, and never run.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, assert_type
from uuid import UUID

from django_tasks_q import (
    Constant,
    Context,
    Exponential,
    Ignore,
    Linear,
    Reject,
    Retry,
    Task,
    TasksQResult,
    aenqueue,
    aenqueue_many,
    cron,
    enqueue,
    enqueue_many,
    enqueue_on_commit,
    every,
    periodic,
    task,
)

# Tasks.


@task
def quote(symbol: str, digits: int = 2) -> str:
    return f"{symbol:.{digits}}"


@task(queue_name="mail", priority=10, max_attempts=5, backoff=Exponential(first=1), retry_on=OSError, timeout=30)
def send_receipt(order_id: int, *, copy: bool = False) -> None: ...


@task
async def fetch(url: str) -> bytes:
    return url.encode()


@task(max_attempts=3)
async def count(url: str) -> int:
    return len(url)


@task(takes_context=True)
def build(context: Context, month: str) -> list[int]:
    context.progress(1, 2, month)
    assert_type(context.is_cancelled, bool)
    assert_type(context.attempt, int)
    context.progres(1)  # error
    context.progress("half")  # error
    return [context.attempt]


@task(takes_context=True, metadata={"team": "reports"})
async def abuild(context: Context, month: str) -> list[int]:
    return [context.attempt]


@task()
def total(*numbers: int, **named: int) -> int:
    return sum(numbers) + sum(named.values())


@task
def untyped(first, second=1):  # type: ignore[no-untyped-def]
    return first + second


class Patient:
    def delay(self, attempt: int, error: BaseException, job: Any) -> float:
        return 60.0 * attempt


class Impatient:
    def wait(self) -> float:
        return 0.0


@periodic(every(minutes=5), name="quotes", args=["ACME"])
@periodic(cron("0 3 * * *"))
@task(
    backoff=Patient(),
    retry_on=(OSError, ValueError),
    dont_retry_on=[FileNotFoundError],
    timeout=timedelta(minutes=1),
    soft_timeout=45.5,
    atomic=True,
    store_result=False,
    backend="default",
)
def sweep(symbol: str = "") -> float:
    raise Retry(after=timedelta(seconds=1), reason=symbol)


@task
def give_up(order_id: int) -> None:
    if order_id == 1:
        raise Retry(args=[order_id], kwargs={"copy": True})
    if order_id == 2:
        raise Ignore("There is nothing to do.")
    if order_id == 3:
        raise Reject("It is not for us.", requeue=True)
    raise Retry(after="soon")  # error


def give_up_wrongly() -> None:
    Retry(args=5)  # error
    Retry(kwargs=["copy"])  # error
    Ignore(requeue=True)  # error
    Reject("It is not for us.", True)  # error


@task(max_atempts=5)  # error
def misspelt() -> None: ...


@task(max_attempts="five")  # error
def in_words() -> None: ...


@task(retry_on="OSError")  # error
def by_name() -> None: ...


@task(backoff="long")  # error
def with_text() -> None: ...


@task(backoff=Impatient())  # error
def with_impatience() -> None: ...


@task(timeout=datetime(2026, 1, 1, tzinfo=UTC))  # error
def until() -> None: ...


@task(run_after=timedelta(1))  # error
def later() -> None: ...


@task(takes_context=True)  # error
def without_context() -> None: ...


@task(takes_context=True)  # error
def with_another(month: str) -> None: ...


# Enqueue.


def enqueue_by_method() -> None:
    assert_type(quote.enqueue("ACME"), TasksQResult[str])
    assert_type(quote.enqueue("ACME", digits=3), TasksQResult[str])
    assert_type(send_receipt.enqueue(42, copy=True), TasksQResult[None])
    assert_type(fetch.enqueue("https://example.com"), TasksQResult[bytes])
    assert_type(count.enqueue("https://example.com"), TasksQResult[int])
    assert_type(build.enqueue("2026-11"), TasksQResult[list[int]])
    assert_type(abuild.enqueue(month="2026-11"), TasksQResult[list[int]])
    assert_type(total.enqueue(1, 2, three=3), TasksQResult[int])
    assert_type(sweep.enqueue(), TasksQResult[float])
    untyped.enqueue(1, second=2)
    quote.enqueue()  # error
    quote.enqueue(1)  # error
    quote.enqueue("ACME", bogus=1)  # error
    quote.enqueue("ACME", 2, 3)  # error
    quote.enqueue("ACME", run_after=3)  # error
    send_receipt.enqueue(42, True)  # error
    fetch.enqueue(b"https://example.com")  # error
    build.enqueue()  # error
    build.enqueue("2026-11", "2026-12")  # error
    abuild.enqueue(11)  # error
    total.enqueue(1, "2")  # error
    untyped.enqueue()  # error
    sweep.enqueue(1)  # error
    quote.enqueu("ACME")  # error
    quote.delay("ACME")  # error
    quote("ACME")  # error


async def enqueue_by_async_method() -> None:
    assert_type(await quote.aenqueue("ACME"), TasksQResult[str])
    assert_type(await fetch.aenqueue("https://example.com"), TasksQResult[bytes])
    assert_type(await build.aenqueue("2026-11"), TasksQResult[list[int]])
    await quote.aenqueue(1)  # error
    await build.aenqueue()  # error
    quote.aenqueue("ACME").wait()  # error


def enqueue_by_shortcut() -> None:
    assert_type(enqueue(quote, "ACME", digits=3), TasksQResult[str])
    assert_type(enqueue(count, "https://example.com"), TasksQResult[int])
    assert_type(enqueue(build, "2026-11"), TasksQResult[list[int]])
    assert_type(enqueue("shop.tasks.quote", "ACME", digits=3), TasksQResult[Any])
    enqueue_on_commit(send_receipt, 42, copy=True)
    enqueue_on_commit("shop.tasks.send_receipt", 42)
    enqueue(quote, 1)  # error
    enqueue(quote)  # error
    enqueue(quote, "ACME", bogus=1)  # error
    enqueue(build, "2026-11", "2026-12")  # error
    enqueue(42, "ACME")  # error
    enqueue(quote.func, "ACME").wait(1, 2)  # error
    enqueue_on_commit(send_receipt, "42")  # error
    send_receipt.enqueue_on_commit("42")  # error
    send_receipt.enqueue_on_commit(42)


async def enqueue_by_async_shortcut() -> None:
    assert_type(await aenqueue(quote, "ACME"), TasksQResult[str])
    assert_type(await aenqueue("shop.tasks.quote", "ACME"), TasksQResult[Any])
    await aenqueue(quote, 1)  # error


def enqueue_in_bulk(ids: Iterator[int]) -> None:
    assert_type(send_receipt.enqueue_many([(1,), [2], {"order_id": 3}]), list[TasksQResult[None]])
    assert_type(send_receipt.enqueue_many((number,) for number in ids), list[TasksQResult[None]])
    assert_type(enqueue_many((quote, (str(number),), {}) for number in ids), list[TasksQResult[str]])
    assert_type(enqueue_many([(quote, ("ACME",), {"digits": 3}), (quote, ["IBM"], {})]), list[TasksQResult[str]])
    enqueue_many([(quote, ("ACME",), {}), ("shop.tasks.send_receipt", (42,), {})])
    send_receipt.enqueue_many(ids)  # error
    quote.enqueue_many(["ACME"])  # error
    enqueue_many([quote, quote])  # error
    enqueue_many([(quote, ("ACME",))])  # error
    enqueue_many([(quote, ("ACME"), {})])  # error
    enqueue_many([(quote, ("ACME",), ())])  # error


async def enqueue_in_bulk_async() -> None:
    assert_type(await fetch.aenqueue_many([("https://example.com",)]), list[TasksQResult[bytes]])
    assert_type(await aenqueue_many([(fetch, ("https://example.com",), {})]), list[TasksQResult[bytes]])
    await fetch.aenqueue_many("https://example.com")  # error


# Options of one call.


def change_options() -> None:
    assert_type(quote.using(priority=1).enqueue("ACME"), TasksQResult[str])
    assert_type(quote.using(run_after=timedelta(minutes=5), queue_name="slow").enqueue("ACME"), TasksQResult[str])
    assert_type(build.using(run_after=datetime(2027, 1, 1, tzinfo=UTC)).enqueue("2026-11"), TasksQResult[list[int]])
    assert_type(quote.using(max_attempts=0, backoff=[1, 2.5, timedelta(1)]).call("ACME"), str)
    quote.using(backoff=30, retry_on=OSError, timeout=1.5, soft_timeout=None, metadata={"a": [1]}, atomic=False)
    quote.using(backoff=Constant(3)).using(backoff=Linear(step=2)).using(backend="other", store_result=True)
    quote.using(priorty=4)  # error
    quote.using(priority="high")  # error
    quote.using(max_atempts=5)  # error
    quote.using(max_attempts="five")  # error
    quote.using(run_after="tomorrow")  # error
    quote.using(metadata=["a"])  # error
    quote.using(takes_context=True)  # error
    quote.using(priority=4).enqueue(1)  # error


# Call here and now.


async def call() -> None:
    assert_type(quote.call("ACME"), str)
    assert_type(fetch.call("https://example.com"), bytes)
    assert_type(await fetch.acall("https://example.com"), bytes)
    assert_type(await quote.acall("ACME"), str)
    quote.call(1)  # error
    await fetch.acall()  # error


def call_with_context(context: Context) -> None:
    assert_type(build.call(context, "2026-11"), list[int])
    build.call("2026-11")  # error
    quote.call(context, "ACME")  # error


# Results.


def read(job_id: UUID) -> None:
    result = quote.get_result(str(job_id))
    assert_type(result, TasksQResult[str])
    assert_type(quote.get_result(job_id).return_value, str)
    assert_type(result.wait(timeout=10).return_value, str)
    assert_type(result.wait(), TasksQResult[str])
    assert_type(result.is_finished, bool)
    assert_type(result.cancel(by="an operator"), bool)
    assert_type(result.errors[0].traceback, str)
    assert_type(result.attempts, int)
    assert_type(result.task.max_attempts, int | None)
    if result.progress:
        assert_type(result.progress.done, float)
    result.refresh()
    show(result.retrun_value)  # error
    result.wait("10")  # error
    result.get(timeout=10)  # error
    result.return_value + 1  # error
    result.cancel("an operator")  # error
    result.status = "FAILED"  # error
    quote.get_result(17)  # error


async def read_async(job_id: str) -> None:
    result = await count.aget_result(job_id)
    assert_type((await result.await_result(10)).return_value, int)
    assert_type(await result.acancel(), bool)
    await result.arefresh()
    show(result.await_result(10).return_value)  # error


# In signatures.


def show(result: TasksQResult[object]) -> str:
    return str(result.return_value)


def run_twice(given: Task[[str], object]) -> None:
    given.enqueue("first")
    given.enqueue("second")


def names(*tasks: Task[..., Any]) -> list[str]:
    return [each.name for each in tasks]


def hand_on(given: Callable[[str], TasksQResult[Any]]) -> None:
    given("ACME")


def use_in_signatures() -> None:
    show(quote.enqueue("ACME"))
    show(send_receipt.enqueue(42))
    run_twice(fetch)
    run_twice(fetch.using(priority=3))
    names(quote, send_receipt, fetch, build, sweep)
    hand_on(quote.enqueue)
    run_twice(send_receipt)  # error
    names(quote.func)  # error
    names("shop.tasks.quote")  # error
    show(quote)  # error
    hand_on(send_receipt.enqueue)  # error
    numbers: list[int] = [quote.enqueue("ACME")]  # error
    total.enqueue_many([numbers])
