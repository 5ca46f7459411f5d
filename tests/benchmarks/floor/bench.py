"""What one measurement works on, and whose CPU counts."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from . import cpu
from .tables import Tables

__all__ = ["Bench", "Operation"]

# Does something again and returns how many units it did; 0 if nothing is left to do.
Operation = Callable[[], int]
# What works for all sessions: it writes the pages, and the WAL of commits that do not wait for it.
BACKGROUND = (
    "SELECT pid FROM pg_stat_activity WHERE backend_type IN ('walwriter', 'background writer', 'checkpointer')"
)


class Bench:
    """The tables, the sessions and children that one measurement uses, closed after it.

    seconds: how long it will run. Give what is to be closed to `closing`.
    """

    def __init__(self, tables: Tables, seconds: float) -> None:
        self.tables = tables
        self.seconds = seconds
        self.closing = ExitStack()
        self._sessions: list[int] = []
        self._children: list[int] = []
        self._is_whole_server = False

    def __enter__(self) -> "Bench":
        with psycopg.connect(self.tables.url) as connection:
            self._background = [pid for (pid,) in connection.execute(BACKGROUND)]
        return self

    def __exit__(self, *details: object) -> None:
        self.closing.close()

    def connect(self) -> "psycopg.Connection[Any]":
        """Open a session in which each statement commits, and count its CPU."""
        connection = self.closing.enter_context(psycopg.connect(self.tables.url, autocommit=True))
        self.count_session(connection.info.backend_pid)
        return connection

    def count_session(self, pid: int) -> None:
        """Count the CPU of a session opened in another way."""
        self._sessions.append(pid)

    def count_child(self, pid: int) -> None:
        """Count the CPU of a child as the client's."""
        self._children.append(pid)

    def count_whole_server(self) -> None:
        """Count the CPU of all sessions, the ended ones too, whoever had opened them."""
        self._is_whole_server = True

    def client_cpu(self) -> float:
        """Return the CPU seconds of this process and of the children that count."""
        return time.process_time() + cpu.living(self._children)

    def database_cpu(self) -> float | None:
        """Return the CPU seconds of the server for us; None if it has no part, or is on another machine."""
        if not (self._sessions or self._is_whole_server) or not _is_here(self._background):
            return None
        if self._is_whole_server:
            return cpu.tree(cpu.parent(self._background[0]))
        return cpu.living([*self._sessions, *self._background])


def _is_here(pids: list[int]) -> bool:
    commands = [Path(f"/proc/{pid}/cmdline") for pid in pids]
    return all(command.exists() and b"postgres" in command.read_bytes() for command in commands)
