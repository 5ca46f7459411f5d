"""How processes of the worker end."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

__all__ = ["end_process", "kill_group"]


def end_process(code: int) -> NoReturn:
    """End this process at once, whatever a task has done to it; its printed output is not lost."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def kill_group(pid: int, number: int) -> None:
    """Signal the child's whole group, or only the child as long as it has no group."""
    kill: Callable[[int, int], None]
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, number)
        except ProcessLookupError:
            continue
        return
