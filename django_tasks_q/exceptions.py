"""Every error of this package.

TasksQError
├── UnserializableError (also TypeError)   an argument or a return value that no database could store
│   ├── UndecodableBytes (also ValueError) … because it is bytes that are not UTF-8
│   └── PayloadTooLarge                    … because of its size
├── UnknownTask                            a row names a task that this process cannot import
├── CorruptJob                             a row that is not a valid call
├── EndlessWait (also RuntimeError)        wait() without a timeout, in a transaction that keeps the job from ending
├── JobNotFound                            an id that no table has
├── WorkerNotFound                         an id of no running worker
├── InvalidTransition                      a verb that the job's status does not allow
├── Superseded                             another worker owns the job now
├── JobLost                                the process that ran the job is gone
│   └── MemoryLimitExceeded                … because it used more memory than allowed
├── TaskTimeout (also TimeoutError)        the hard time limit; the process was killed
├── Retry                                  raised by a task that wants another attempt
├── Ignore                                 raised by a task that ends its job as cancelled
├── Reject                                 raised by a task that does not take its job
├── SoftTimeout (also TimeoutError)        the soft time limit; raised inside the task
├── TaskCancelled                          the job was cancelled; the process that ran it was killed
├── SoftCancel                             … and before that, this is raised inside the task
├── InvalidSchedule (also ValueError)      a schedule that could never run as intended
├── ScheduleNotFound                       a name that no schedule has
├── DatabaseUnavailable                    the database could not be reached
└── AppNotInstalled (also ImproperlyConfigured, SystemCheckError)
                                           TASKS has the backend, INSTALLED_APPS lacks the app
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import SystemCheckError

__all__ = [
    "AppNotInstalled",
    "CorruptJob",
    "DatabaseUnavailable",
    "EndlessWait",
    "Ignore",
    "InvalidSchedule",
    "InvalidTransition",
    "JobLost",
    "JobNotFound",
    "MemoryLimitExceeded",
    "PayloadTooLarge",
    "Reject",
    "Retry",
    "ScheduleNotFound",
    "SoftCancel",
    "SoftTimeout",
    "Superseded",
    "TaskCancelled",
    "TaskTimeout",
    "TasksQError",
    "UndecodableBytes",
    "UnknownTask",
    "UnserializableError",
    "WorkerNotFound",
]


class TasksQError(Exception):
    """The root of this package's errors."""


class UnserializableError(TasksQError, TypeError):
    """A value cannot be stored as JSON in every supported database.

    is_returned: whether it is a return value. A result names such an error by the class that the framework's own
    backends would raise, TypeError or ValueError.
    """

    is_returned = False


class UndecodableBytes(UnserializableError, ValueError):
    """The bytes are not UTF-8 text, so they cannot be stored."""


class PayloadTooLarge(UnserializableError):
    """A value is larger than OPTIONS["max_payload"] bytes of JSON."""


class UnknownTask(TasksQError):
    """No task can be imported from the path that the job names."""


class CorruptJob(TasksQError):
    """The job's row is not a valid call of a task: it was written by something else, or damaged."""


class EndlessWait(TasksQError, RuntimeError):
    """wait() without a timeout would not end: the current transaction keeps the job from ending, or hides its end."""


class JobNotFound(TasksQError):
    """No job and no result has this id."""


class WorkerNotFound(TasksQError):
    """No worker with this id is running."""


class InvalidTransition(TasksQError):
    """The job's status does not allow the requested action."""


class Superseded(TasksQError):
    """The job was taken from this worker while it ran; its completion was not recorded."""


class JobLost(TasksQError):
    """The process that ran the job ended before the job did."""


class MemoryLimitExceeded(JobLost):
    """The process that ran the job used more memory than --max-memory-per-child allows."""


class TaskTimeout(TasksQError, TimeoutError):
    """The job ran longer than its timeout and its process was killed."""


class Retry(TasksQError):
    """The task asks for another attempt, regardless of retry_on and dont_retry_on. max_attempts still applies.

    after: seconds or a timedelta to wait, at most ten years; None leaves it to the task's backoff.
    reason: why, for the log and for operators.
    args, kwargs: what the next attempt is called with; None leaves them as they are. If the task does not take them,
    or they cannot be stored, the job fails with that error.

    Raise TypeError if one of these is of another type.
    """

    # What holds for a child of this class that has an __init__() of its own.
    after: float | None = None
    reason = ""
    args_of_next: Sequence[Any] | None = None
    kwargs_of_next: Mapping[str, Any] | None = None

    def __init__(
        self,
        after: float | timedelta | None = None,
        reason: str = "",
        *,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        seconds: object = after.total_seconds() if isinstance(after, timedelta) else after
        if isinstance(seconds, bool) or not isinstance(seconds, int | float | None) or seconds != seconds:
            raise TypeError(f"Retry(after={after!r}): after must be seconds, a timedelta, or None for the backoff.")
        if args is not None and (isinstance(args, str | bytes) or not isinstance(args, Sequence)):
            raise TypeError(f"Retry(args={args!r:.100}): args must be a tuple or list; one argument is written (x,).")
        if not isinstance(kwargs, Mapping | None):
            raise TypeError(f"Retry(kwargs={kwargs!r:.100}): kwargs must be a dict.")
        super().__init__(after, reason)
        self.after = seconds
        self.reason = reason
        # Copies: what raises when it is read raises in the task.
        self.args_of_next = None if args is None else list(args)
        self.kwargs_of_next = None if kwargs is None else dict(kwargs)

    def __str__(self) -> str:
        return self.reason or "The task asks for another attempt."


class Ignore(TasksQError):
    """The task ends its job as CANCELLED: there is nothing to do, and nothing has failed.

    The job is not retried, and no error is stored. reason: why, for operators.
    """

    reason = ""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason or "The task ignored this call."


class Reject(TasksQError):
    """The task rejects its job: it fails without a retry, regardless of retry_on and max_attempts.

    reason: why, for operators. requeue: put the job back instead, for another worker or another time. That run does
    not count as an attempt, and no error is stored. The job is due again after a second, and may come back for ever.
    """

    reason = ""
    requeue = False

    def __init__(self, reason: str = "", *, requeue: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.requeue = requeue

    def __str__(self) -> str:
        return self.reason or "The task rejected this call."


class SoftTimeout(TasksQError, TimeoutError):
    """The job ran longer than its soft_timeout; it may clean up, or go on until the hard limit."""


class TaskCancelled(TasksQError):
    """The job was cancelled while it ran, and did not end within cancel_grace; its process was killed."""


class SoftCancel(TasksQError):
    """The job was cancelled while it ran; it may clean up, and has OPTIONS["cancel_grace"] seconds to end."""


class InvalidSchedule(TasksQError, ValueError):
    """A schedule could never run as intended. field: the name of the invalid field, or an empty text."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ScheduleNotFound(TasksQError):
    """No schedule of the backend has this name."""


class DatabaseUnavailable(TasksQError):
    """The database could not be reached."""


class AppNotInstalled(TasksQError, ImproperlyConfigured, SystemCheckError):
    """TASKS names this package's backend, but "django_tasks_q" is not in INSTALLED_APPS, so there are no tables.

    Raised when a task is defined or the backend is first used, after django.setup(). Commands report it like a failed
    system check.
    """
