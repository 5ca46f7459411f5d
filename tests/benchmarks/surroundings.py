"""What a reader of the figures has to know: the machine, the versions, the settings, the date."""

import os
import platform
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from .errors import BenchmarkError
from .peers import Peer
from .processes import TOP
from .servers import Server

__all__ = ["calibrate", "surroundings"]

LOOPS, TRIES = 3_000_000, 3
GIBIBYTE = 2**30


def surroundings(peers: Iterable[Peer], servers: Iterable[Server]) -> dict[str, Any]:
    """Return everything as JSON."""
    names = ["Django", "psycopg", "psycopg-binary", "mysqlclient", "PyMySQL"]
    names += [name for peer in peers for name in peer.packages]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory": f"{psutil.virtual_memory().total / GIBIBYTE:.0f} GiB",
            "kernel": platform.release(),
        },
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "calibration": calibrate(),
        "versions": {name: found for name in dict.fromkeys(names) if (found := _version(name))},
        "servers": {server.vendor: facts for server in servers if (facts := _facts(server))},
    }


def calibrate() -> float:
    """Return the CPU seconds of a fixed loop in Python, the best of three: CPU per job scales with it."""
    return min(_loop() for _ in range(TRIES))


def _loop() -> float:
    began, value = time.thread_time(), 0
    for number in range(LOOPS):
        value = (value * 31 + number) & 0xFFFF_FFFF
    return time.thread_time() - began


def _facts(server: Server) -> dict[str, str] | None:
    try:
        return server.facts()
    except BenchmarkError:  # It is not there; a scenario that needs it says so.
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the commit that is measured, with a + where files have changed since; None outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=TOP,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return described.stdout.strip()
