"""Background tasks for Django with nothing but the project's own database."""

from .context import Context
from .exceptions import Ignore, Reject, Retry, SoftCancel, SoftTimeout, TasksQError, TaskTimeout
from .results import TasksQResult
from .retries import Constant, Exponential, Linear
from .schedules import cron, every, once, periodic, solar
from .shortcuts import aenqueue, aenqueue_many, aget_result, enqueue, enqueue_many, enqueue_on_commit, get_result
from .task import Task, task

__version__ = "0.2.0.dev0"

__all__ = [
    # define
    "task",
    "Task",
    "Constant",
    "Exponential",
    "Linear",
    # run by the clock
    "cron",
    "every",
    "once",
    "periodic",
    "solar",
    # enqueue
    "aenqueue",
    "aenqueue_many",
    "enqueue",
    "enqueue_many",
    "enqueue_on_commit",
    # read
    "aget_result",
    "get_result",
    # in a task, and afterwards
    "Context",
    "Ignore",
    "Reject",
    "Retry",
    "SoftCancel",
    "SoftTimeout",
    "TaskTimeout",
    "TasksQError",
    "TasksQResult",
]
