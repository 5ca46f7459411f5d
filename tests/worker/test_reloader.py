import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_tasks_q.worker import reloader as module
from django_tasks_q.worker.reloader import Reloader

# Tells us to stop while we wait for it to end; ends with 8 where it is asked twice, as with a second Ctrl-C.
WORKER = """
import os, signal, sys, time

def stop(number, frame):
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(8))
    os.kill(os.getppid(), signal.SIGUSR1)
    time.sleep(1)
    sys.exit(7)

signal.signal(signal.SIGTERM, stop)
with open(sys.argv[1], "a") as started:
    started.write("x")
while True:
    signal.pause()
"""

# Has no handlers yet.
STARTING = """
import os, signal

os.kill(os.getppid(), signal.SIGUSR1)
while True:
    signal.pause()
"""


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a letter for each worker that was started; from the first on, the code has changed."""
    path = tmp_path / "started"
    monkeypatch.setattr(module, "INTERVAL", 0.01)
    monkeypatch.setattr(module, "_changed", lambda times: path if path.exists() and path.read_text() else None)
    return path


@pytest.fixture
def reloader(started: Path) -> Iterator[Reloader]:
    """Told to stop by SIGUSR1, as by Ctrl-C."""
    reloader = Reloader([sys.executable, "-c", WORKER, str(started)])
    before = signal.signal(signal.SIGUSR1, lambda number, frame: reloader.forward(signal.SIGTERM, frame))
    yield reloader
    signal.signal(signal.SIGUSR1, before)
    if reloader.worker is not None:
        reloader.worker.kill()
        reloader.worker.wait()


def test_who_is_stopped_while_it_waits_for_the_old_worker_starts_no_new_one(reloader: Reloader, started: Path) -> None:
    assert reloader.run() == 7
    assert started.read_text() == "x"


def test_a_signal_that_comes_before_the_worker_is_passed_on(
    reloader: Reloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = module._modification_times

    def be_stopped() -> dict[Path, float]:
        os.kill(os.getpid(), signal.SIGUSR1)
        return look()

    monkeypatch.setattr(module, "_modification_times", be_stopped)
    # It may come before the worker has a handler for it.
    assert reloader.run() in {7, 0}


def test_ctrl_c_while_the_worker_starts_is_no_failure(reloader: Reloader, capfd: pytest.CaptureFixture[str]) -> None:
    reloader.command = [sys.executable, "-c", STARTING]
    before = signal.signal(signal.SIGUSR1, lambda number, frame: reloader.forward(signal.SIGINT, frame))
    assert reloader.run() == 0
    signal.signal(signal.SIGUSR1, before)
    assert "KeyboardInterrupt" not in capfd.readouterr().err
