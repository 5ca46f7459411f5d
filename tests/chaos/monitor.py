"""Looks at the workers several times a second, the work of `manage.py chaos_monitor`. sights.py reads what it writes.

It has connections of its own. One thread looks at the rows of the workers and the memory of their processes, another
one enqueues a probe every second, which may have to wait for a lock.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from django.db import Error, connection
from django.db.models.functions import Now

from django_tasks_q import enqueue
from django_tasks_q.models import Worker

from .heavy import HEAVY
from .kinds import PROBES
from .producer import Journal

__all__ = ["ENOUGH", "watch"]

# Seconds: between two looks, between two looks at memory, between two probes.
LOOK, MEMORY, PROBE = 0.25, 2.0, 1.0
# The file that says that there are enough probes.
ENOUGH = "enough-probes"


class Monitor:
    """Writes a line for each look."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self._memory_at = 0.0

    def run(self) -> None:
        due = time.monotonic()
        while True:
            late = time.monotonic() - due
            began = time.monotonic()
            line: dict[str, Any] = {"late": late, **self._look()}
            self.journal.write(took=time.monotonic() - began, **line)
            due = max(due + LOOK, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def _look(self) -> dict[str, Any]:
        try:
            rows = list(
                Worker.objects.filter(status__in=["ONLINE", "DRAINING"]).exclude(host="dead").annotate(now=Now())
            )
        except Error as error:
            connection.close()
            return {"error": f"{type(error).__name__}: {error}".strip().splitlines()[0]}
        found: dict[str, Any] = {
            "workers": [
                [row.id, (row.now - row.heartbeat_at).total_seconds(), row.running, row.finished] for row in rows
            ]
        }
        if time.monotonic() >= self._memory_at:
            self._memory_at = time.monotonic() + MEMORY
            found["memory"] = [one for row in rows for one in _memory(row)]
        return found


def _memory(row: Worker) -> Iterator[tuple[str, int, int, int]]:
    """Yield worker, process ID, bytes, and how many children it may have."""
    with suppress(OSError, psutil.NoSuchProcess):
        supervisor = psutil.Process(row.pid)
        if "taskworker" not in supervisor.cmdline():
            return
        yield row.id, row.pid, _peak(row.pid), row.concurrency
        for child in supervisor.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                yield row.id, child.pid, child.memory_info().rss, 0


def _peak(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1_024
    return 0


class Prober:
    """Enqueues a job every second, and writes its key down before and after."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "probes.jsonl")

    def run(self) -> None:
        number = 0
        while not (self.folder / ENOUGH).exists():
            number += 1
            self._probe(f"probe-{number}")
            time.sleep(PROBE)

    def _probe(self, key: str) -> None:
        self.journal.write(batch=key, marked=False, calls=[{"key": key, "task": "probe", "kept": True}])
        began = time.monotonic()
        try:
            enqueue(HEAVY["probe"].using(queue_name=PROBES), key)
        except Error:
            connection.close()
            outcome = "unknown"
        else:
            outcome = "committed"
        # Where there is one lock for all, nobody else could write either.
        locked = time.monotonic() - began if connection.vendor == "sqlite" else 0.0
        self.journal.write(batch=key, outcome=outcome, locked=locked)


def watch(folder: Path) -> None:
    """Do both, until SIGTERM."""
    threading.Thread(target=Prober(folder).run, daemon=True).start()
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    Monitor(folder / "monitor.jsonl").run()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
