import subprocess
import sys
from pathlib import Path
from types import TracebackType

from django.conf import settings

__all__ = ["WorkerProcess"]

# Seconds: how long running jobs may go on, and when the worker is killed after that.
SHUTDOWN_TIMEOUT, PATIENCE = 10, 15


class WorkerProcess:
    """`manage.py taskworker` as a child process that writes to a log file. Leaving the context stops it."""

    def __init__(self, log: Path, *, concurrency: int | None = None, burst: bool = False) -> None:
        self.log = log
        self.command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "taskworker"]
        self.command += ["--shutdown-timeout", str(SHUTDOWN_TIMEOUT)]
        self.command += ["--concurrency", str(concurrency)] if concurrency else []
        self.command += ["--burst"] if burst else []

    def __enter__(self) -> "WorkerProcess":
        with self.log.open("wb") as output:
            # In a group of its own: a Ctrl-C in the terminal is ours, and the worker gets one signal, not two.
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, process_group=0
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def wait(self, seconds: float | None = None) -> int | None:
        """Return the exit code, or None where the worker still runs after this many seconds."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self) -> None:
        """Let running jobs finish, for a while. A second Ctrl-C meanwhile does not wait for them."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                self.process.kill()
                self.process.wait()

    def last_words(self, lines: int = 15) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
