"""The state of one run of a job: what interrupts it, how far it says it is, what it has logged."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...exceptions import SoftCancel
from ..wire.jobs import JobRow
from .interruption import CANCELLED
from .outbox import Outbox
from .progress import ProgressReporter
from .run_log import RunLog
from .soft_limits import soft_limit, timed_out

__all__ = ["RunScope", "raise_cancelled"]


class RunScope:
    """One run of a job, as it is reached from outside of its task; made for each run by whoever has it executed.

    A signal or another thread cancels it, log records find it, and the task has it as its context's control.

    seq: the number of the job in this process. job: its row. outbox: where progress and log lines go.
    """

    # These are set in those runs that need them.
    cancel_heard = is_atomic = has_ended = False
    progress: ProgressReporter | None = None
    log: RunLog | None = None

    def __init__(self, seq: int, job: JobRow, outbox: Outbox) -> None:
        self.seq = seq
        self.job = job
        self.outbox = outbox
        # At most one, and a list, because taking it is one step: only one caller gets it.
        self._armed: list[Callable[[], object]] = []

    # what the task's context is connected to

    @property
    def is_cancelled(self) -> bool:
        return self.cancel_heard

    def report_progress(self, done: float, total: float | None, message: str) -> None:
        if self.progress is not None:
            self.progress.report(done, total, message)

    # for its log records, of any thread

    def open_log(self, most: int) -> RunLog:
        """Return the run's log. most: how many bytes are kept of it."""
        made = RunLog(self.seq, self.outbox, most, held=self.is_atomic)
        # In one step: threads that log their first lines at once get the same.
        log: RunLog = self.__dict__.setdefault("log", made)
        if self.has_ended:
            log.close()
        return log

    def end(self) -> None:
        """Send what is left of the task's reports and its log, and take no more of either."""
        self.has_ended = True
        if self.progress is not None:
            self.progress.end()
        if self.log is not None:
            self.log.end()

    # interruption

    def cancel(self) -> None:
        """Interrupt the task, once: now, or as soon as it begins."""
        self.cancel_heard = True
        self._interrupt()

    def _interrupt(self) -> None:
        try:
            interrupt = self._armed.pop()
        except IndexError:
            return
        interrupt()

    def call(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        soft_timeout: float | None = None,
    ) -> Any:
        """Call a function in the main thread.

        Raise SoftCancel in it if the job is to be cancelled, and SoftTimeout after soft_timeout seconds.
        """
        if soft_timeout is not None:
            with soft_limit(soft_timeout):
                return self.call(function, args, kwargs)
        try:
            self._armed.append(raise_cancelled)
            if self.cancel_heard:
                self._interrupt()
            return function(*args, **kwargs)
        finally:
            self._armed.clear()

    async def wait_for(self, awaitable: Awaitable[Any], soft_timeout: float | None = None) -> Any:
        """Await, and cancel what is awaited after soft_timeout seconds, or if the job is to be cancelled.

        Then raise SoftTimeout, or SoftCancel.
        """
        # In its own task: an interruption that comes too late must not hit the code around it.
        loop, awaited = asyncio.get_running_loop(), asyncio.ensure_future(awaitable)

        def interrupt() -> None:
            # Called in the main thread; the loop runs in another one, and may have ended.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(awaited.cancel)

        self._armed.append(interrupt)
        if self.cancel_heard:
            self._interrupt()
        try:
            async with asyncio.timeout(soft_timeout) as limit:
                return await awaited
        except TimeoutError as error:
            if soft_timeout is None or not limit.expired():
                raise
            raise timed_out(soft_timeout) from error
        except asyncio.CancelledError as error:
            if not self.cancel_heard:
                raise
            raise SoftCancel(CANCELLED) from error
        finally:
            self._armed.clear()


def raise_cancelled() -> None:
    raise SoftCancel(CANCELLED)
