"""How a run ends that has not succeeded: what is said of it, and what happens to the job next."""

import json
import time
from datetime import datetime
from typing import NamedTuple

from ...conf import Options
from ...exceptions import Ignore, Retry, SoftTimeout, Superseded, UnknownTask, UnserializableError
from ...lifecycle import Ending
from ...payloads import dump_arguments
from ...retries import RetryDecision, decide
from ...signatures import check_arguments
from ...task_options import TaskOptions
from ..wire.frames import Run
from ..wire.jobs import JobRow
from .attempts import Attempt
from .errors import error_entry, refusal, summary
from .run_scope import RunScope

__all__ = ["NO_RETRY", "Verdict", "decide_retry", "failed", "judge", "parked", "set_aside"]

NO_RETRY = RetryDecision(retry=False)


class Verdict(NamedTuple):
    """What follows from an error. arguments: those of the next attempt, as JSON, None if they are the same."""

    error: BaseException
    decision: RetryDecision
    arguments: tuple[str, str] | None = None


def set_aside(attempt: Attempt, error: Superseded | Ignore) -> Run:
    """Return the end of a run that is no failure."""
    ending, reason = Ending.SUPERSEDED, str(error)
    if isinstance(error, Ignore):
        ending, reason = Ending.IGNORED, summary(error, named=False)
    return Run(attempt.scope.seq, attempt.row.began_at, time.time(), ending, reason=reason)


def judge(attempt: Attempt, error: BaseException, config: Options, *, cancelled: bool) -> Verdict:
    """Return what follows from the error of an attempt. cancelled: whether it was to be cancelled."""
    decision = decide_retry(attempt.row, attempt.options, error)
    arguments = None
    if decision.retry and isinstance(error, Retry):
        try:
            arguments = _arguments_of_next(attempt, error, config)
        except TypeError as refused:
            return Verdict(refusal(refused, error), NO_RETRY)
    # Of what is cancelled there is no other attempt, whatever the error was.
    return Verdict(error, NO_RETRY if cancelled else decision, arguments)


def decide_retry(row: JobRow, options: TaskOptions, error: BaseException | type[BaseException]) -> RetryDecision:
    # A value that cannot be stored now cannot be stored next time.
    if isinstance(error, UnserializableError):
        return NO_RETRY
    return decide(
        error,
        failures=row.failures + 1,
        max_attempts=options.max_attempts,
        backoff=options.backoff,
        retry_on=options.retry_on,
        dont_retry_on=options.dont_retry_on,
        job=row.as_failed(),
    )


def _arguments_of_next(attempt: Attempt, retry: Retry, config: Options) -> tuple[str, str] | None:
    """Return what the next attempt is called with; None if that is the same. Raise TypeError as enqueue() does."""
    if retry.args_of_next is None and retry.kwargs_of_next is None:
        return None
    same_args, same_kwargs = attempt.row.stored_arguments
    # Not those of the row: the task may have changed what is in them.
    args = json.loads(same_args) if retry.args_of_next is None else retry.args_of_next
    kwargs = json.loads(same_kwargs) if retry.kwargs_of_next is None else retry.kwargs_of_next
    new_args, new_kwargs = dump_arguments(args, kwargs, config.max_payload)
    if config.check_arguments:
        check_arguments(attempt.task.name, attempt.task.func, attempt.task.takes_context, args, kwargs)
    return (
        same_args if retry.args_of_next is None else new_args,
        same_kwargs if retry.kwargs_of_next is None else new_kwargs,
    )


def failed(scope: RunScope, error: BaseException, decision: RetryDecision, longest: int) -> Run:
    """Return the end of a run with an error. longest: characters that are kept of the traceback."""
    now, reason, began_at = time.time(), summary(error, decision.note), scope.job.began_at
    if not decision.charged:
        return Run(scope.seq, began_at, now, Ending.REJECTED, decision.delay, decision.retry, reason=reason)
    ending = Ending.SOFT_TIMEOUT if isinstance(error, SoftTimeout) else Ending.ERROR
    entry = error_entry(scope.job, error, began_at, now, longest)
    return Run(scope.seq, began_at, now, ending, decision.delay, decision.retry, error=entry, reason=reason)


def parked(scope: RunScope, error: UnknownTask, config: Options) -> Run:
    """Put back a job with an unknown task; fail it if no worker has known the task for long enough."""
    row, now = scope.job, time.time()
    why = f"{error} If the site knows it, this worker runs older code: restart it."
    since = next((entry.get("started_at") for entry in row.errors if entry.get("kind") == Ending.PARKED), None)
    waited = None if since is None else now + row.clock - datetime.fromisoformat(since).timestamp()
    run = Run(scope.seq, row.began_at, now, Ending.PARKED, config.unknown_task_delay, retry=True, reason=why)
    if waited is not None and waited < config.unknown_task_grace:
        return run
    entry = error_entry(row, error, row.began_at, now, config.max_traceback, Ending.PARKED)
    if waited is None:
        return run._replace(error=entry)
    return Run(scope.seq, row.began_at, now, Ending.UNKNOWN_TASK, error=entry, reason=str(error))
