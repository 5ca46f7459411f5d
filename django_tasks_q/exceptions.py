"""Every error of this package.

TasksQError
├── UnserializableError (also TypeError)   an argument or a return value that no database could keep
│   └── PayloadTooLarge                    … because of its size
├── UnknownTask                            a row names a task that this process cannot import
├── CorruptJob                             a row that cannot be a call of anything
├── JobNotFound                            an id that no table holds
├── WorkerNotFound                         an id under which no worker runs
├── InvalidTransition                      a verb that the job's status does not allow
├── Superseded                             another worker owns the job now
├── JobLost                                the process that ran the job is gone
│   └── MemoryLimitExceeded                … because it used more memory than it may
├── TaskTimeout (also TimeoutError)        the hard time limit; the process was killed
├── SoftTimeout                            the soft time limit; raised inside the task
├── TaskCancelled                          somebody cancelled the job; the process that ran it was killed
├── SoftCancel                             … and before that, this is raised inside the task
├── InvalidSchedule (also ValueError)      a schedule that could never run as it is meant
├── ScheduleNotFound                       a name that no schedule has
└── DatabaseUnavailable                    the database could not be reached
"""

__all__ = [
    "CorruptJob",
    "DatabaseUnavailable",
    "InvalidSchedule",
    "InvalidTransition",
    "JobLost",
    "JobNotFound",
    "MemoryLimitExceeded",
    "PayloadTooLarge",
    "ScheduleNotFound",
    "SoftCancel",
    "SoftTimeout",
    "Superseded",
    "TaskCancelled",
    "TaskTimeout",
    "TasksQError",
    "UnknownTask",
    "UnserializableError",
    "WorkerNotFound",
]


class TasksQError(Exception):
    """The root of this package's errors."""


class UnserializableError(TasksQError, TypeError):
    """A value cannot be stored as JSON in every supported database."""


class PayloadTooLarge(UnserializableError):
    """A value is larger than OPTIONS["max_payload"] bytes of JSON."""


class UnknownTask(TasksQError):
    """No task can be imported from the path that the job names."""


class CorruptJob(TasksQError):
    """The job's row cannot be a call of a task: it was written by something else, or damaged."""


class JobNotFound(TasksQError):
    """No job and no result has this id."""


class WorkerNotFound(TasksQError):
    """No worker runs under this id."""


class InvalidTransition(TasksQError):
    """The job's status does not allow what was asked."""


class Superseded(TasksQError):
    """The job was taken from this worker while it ran; its completion was not recorded."""


class JobLost(TasksQError):
    """The process that ran the job ended before the job did."""


class MemoryLimitExceeded(JobLost):
    """The process that ran the job used more memory than --max-memory-per-child allows."""


class TaskTimeout(TasksQError, TimeoutError):
    """The job ran longer than its timeout and its process was killed."""


class SoftTimeout(TasksQError):
    """The job ran longer than its soft_timeout; it may clean up, or go on until the hard limit."""


class TaskCancelled(TasksQError):
    """The job was cancelled while it ran, and did not end within cancel_grace; its process was killed."""


class SoftCancel(TasksQError):
    """The job was cancelled while it ran; it may clean up, and has OPTIONS["cancel_grace"] seconds to end."""


class InvalidSchedule(TasksQError, ValueError):
    """A schedule could never run as it is meant. field: the name of what is wrong with it, or an empty text."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ScheduleNotFound(TasksQError):
    """No schedule of the backend has this name."""


class DatabaseUnavailable(TasksQError):
    """The database could not be reached."""
