"""Processes that a task forks, and that return from the task as if they were the child."""

import logging
import os
from types import TracebackType
from typing import NoReturn

from .processes import end_process

__all__ = ["EndForks"]

logger = logging.getLogger("django_tasks_q.worker")


class EndForks:
    """A context that only the process that created it leaves: only that one may finish the job.

    Any other process exits as Python would have exited: with the code of sys.exit(), 1 after an error, else 0.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if os.getpid() != self._pid:
            _end(error)


def _end(error: BaseException | None) -> NoReturn:
    if error is None:
        end_process(0)
    if isinstance(error, SystemExit):
        end_process(error.code if isinstance(error.code, int) else int(error.code is not None))
    logger.error("A process forked by a task exits with an error.", exc_info=error)
    end_process(1)
