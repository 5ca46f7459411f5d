"""What is stored. Nothing here changes a job: see brokers."""

from .job import Job
from .queue import Queue
from .result import Result
from .worker import Worker

__all__ = ["Job", "Queue", "Result", "Worker"]
