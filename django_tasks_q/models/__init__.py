"""What is stored. Nothing here changes a job: see brokers."""

from .job import Job
from .log import JobLog
from .queue import Queue
from .result import Result
from .schedule import Schedule, ScheduleRun
from .statistics import Statistics
from .worker import Sleeper, Worker

__all__ = ["Job", "JobLog", "Queue", "Result", "Schedule", "ScheduleRun", "Sleeper", "Statistics", "Worker"]
