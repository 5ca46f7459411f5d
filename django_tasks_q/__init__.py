"""Background tasks for Django with nothing but the project's own database."""

from .calls import aenqueue, aenqueue_many, enqueue, enqueue_many, enqueue_on_commit
from .exceptions import SoftCancel, SoftTimeout, TasksQError, TaskTimeout
from .results import Context, TasksQResult
from .retries import Constant, Exponential, Linear
from .schedules import cron, every, once, periodic, solar
from .task import Task, task

__version__ = "0.1.0"

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
    # in a task, and afterwards
    "Context",
    "SoftCancel",
    "SoftTimeout",
    "TaskTimeout",
    "TasksQError",
    "TasksQResult",
]
