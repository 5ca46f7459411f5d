"""Processes: what they cost, and how they are started and stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from .errors import BenchmarkError

__all__ = ["TOP", "ProcessGroup", "cpu_of_trees", "named_processes", "pss_of_trees", "tail", "trees"]

TOP = Path(__file__).parent.parent.parent
# Seconds.
LONGEST_STOP = 15
# Python's variables that would make the processes run otherwise than in production.
LEFT_OUT = {"PYTHONUNBUFFERED", "PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "PYTHONWARNINGS"}


def trees(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the living processes with these ids, and all that descend from them, each once."""
    found: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            root = psutil.Process(pid)
            found |= {process.pid: process for process in [root, *root.children(recursive=True)]}
    return list(found.values())


def cpu_of_trees(pids: Iterable[int]) -> float:
    """Return the CPU seconds of process trees: of the living, and of the ended ones whose parent has seen them end."""
    seconds = 0.0
    for process in trees(pids):
        with suppress(psutil.NoSuchProcess):
            seconds += sum(process.cpu_times()[:4])
    return seconds


def pss_of_trees(pids: Iterable[int]) -> int:
    """Return the memory of process trees in bytes; a page that several processes share is divided among them."""
    size = 0
    for process in trees(pids):
        with suppress(psutil.NoSuchProcess):
            size += process.memory_full_info().pss
    return size


def named_processes(*names: str) -> list[int]:
    """Return the ids of the topmost processes with one of these names."""
    pids = {process.pid: process for process in psutil.process_iter(["name"]) if process.info["name"] in names}
    return [pid for pid, process in pids.items() if process.ppid() not in pids]


class ProcessGroup:
    """Commands that are started together, in the top of the checkout, and leave nothing behind."""

    def __init__(self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path) -> None:
        self.commands = [" ".join(command) for command in commands]
        self.log = log
        self._processes: list[subprocess.Popen[bytes]] = []
        with log.open("ab") as output:
            for command in commands:
                process = subprocess.Popen(
                    command,
                    cwd=TOP,
                    env={**self.inherited(), **environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
                self._processes.append(process)

    @staticmethod
    def inherited() -> dict[str, str]:
        """Return our own environment, as far as workers in production would have it."""
        return {name: value for name, value in os.environ.items() if name not in LEFT_OUT}

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    def exit_codes(self) -> list[int | None]:
        """Return how each command has ended; None for those that run."""
        return [process.poll() for process in self._processes]

    def check(self) -> None:
        """Raise BenchmarkError if one of the commands has ended."""
        for command, code in zip(self.commands, self.exit_codes(), strict=True):
            if code is not None:
                raise BenchmarkError(f"{command} has ended with {code}:\n{tail(self.log)}")

    def stop(self) -> None:
        """Ask all to end, as an operator would, and kill what has not after 15 s, and what they have left behind."""
        family = trees(self.pids)
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        _wait(self._processes, LONGEST_STOP)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        for process in self._processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        psutil.wait_procs(family, timeout=LONGEST_STOP)


def _wait(processes: Sequence["subprocess.Popen[bytes]"], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))


def tail(log: Path, *, lines: int = 15) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
