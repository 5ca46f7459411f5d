"""Runs the worker in a child process and restarts it when a file of the project changes."""

import logging
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.utils.autoreload import iter_all_python_module_files

from ..discovery import import_tasks

__all__ = ["run_with_reloader"]

logger = logging.getLogger("django_tasks_q.worker")
INTERVAL = 1.0


def run_with_reloader() -> int:
    """Watch until stopped; return the worker's exit code. Running jobs may finish before the worker restarts."""
    import_tasks()
    reloader = Reloader([argument for argument in _command() if argument != "--reload"])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, reloader.forward)
    return reloader.run()


class Reloader:
    """Keeps one worker running, the newest."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.stopping = False
        self.worker: subprocess.Popen[bytes] | None = None
        # Signals that came while there was no worker to receive them; and whether one was handled.
        self._unheard: list[int] = []
        self._has_heard = False
        # Only the first one to take it asks the worker to exit: a second request would stop its running jobs.
        self._first: list[bool] = []

    def run(self) -> int:
        exit_code = 0
        while not self._is_stopping():
            times = _modification_times()
            # In its own process group, so that Ctrl-C reaches it once, through us.
            self._first = [True]
            self.worker = subprocess.Popen(self.command, process_group=0)
            self._pass_on()
            changed = self._watch(self.worker, times)
            if self._is_stopping():
                return self._farewell(self.worker)
            if changed is None:
                logger.warning("The worker exited with code %s; waiting for a change.", self.worker.returncode)
                changed = self._wait_for_change(times)
            if changed is None:
                return self.worker.returncode or 0
            logger.info("%s has changed; restarting the worker.", changed)
            if self._is_first():
                self.worker.terminate()
            exit_code = self.worker.wait()
        return exit_code

    @staticmethod
    def _farewell(worker: "subprocess.Popen[bytes]") -> int:
        """Wait for the worker's end; return its exit code: 0 if our signal came before it had a handler for it."""
        exit_code = worker.wait()
        return 0 if exit_code == -signal.SIGTERM else exit_code

    def forward(self, number: int, frame: object) -> None:
        """Pass a signal on to the worker, as SIGTERM: SIGINT makes a Python that is starting print a traceback."""
        self.stopping = True
        self._unheard.append(signal.SIGTERM)
        self._pass_on()

    def _is_stopping(self) -> bool:
        return self.stopping

    def _pass_on(self) -> None:
        while self._unheard and self.worker is not None and self.worker.returncode is None:
            number = self._unheard.pop()
            if self._is_first() or self._has_heard:
                self.worker.send_signal(number)
            self._has_heard = True

    def _is_first(self) -> bool:
        try:
            return self._first.pop()
        except IndexError:
            return False

    def _watch(self, worker: "subprocess.Popen[bytes]", times: dict[Path, float]) -> Path | None:
        """Return the file that has changed, or None where the worker ended or is to end."""
        while not self.stopping:
            try:
                worker.wait(INTERVAL)
            except subprocess.TimeoutExpired:
                changed = _changed(times)
                if changed is not None:
                    return changed
            else:
                return None
        return None

    def _wait_for_change(self, times: dict[Path, float]) -> Path | None:
        while not self.stopping:
            changed = _changed(times)
            if changed is not None:
                return changed
            time.sleep(INTERVAL)
        return None


def _command() -> list[str]:
    """Return the command line of this process, as Python was given it."""
    return [sys.executable, *sys.orig_argv[1:]]


def _modification_times() -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in iter_all_python_module_files() if path.exists()}


def _changed(times: dict[Path, float]) -> Path | None:
    for path, before in _modification_times().items():
        # A file that was not loaded before is new to us, not changed.
        if times.setdefault(path, before) != before:
            return path
    return None
