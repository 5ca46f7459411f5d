"""Several runs beside each other, each in a separate process."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ..benchmarks.processes import TOP

__all__ = ["run_parts"]


def run_parts(groups: Sequence[Sequence[Sequence[str]]], output: Path) -> int:
    """Run the groups one after the other, each group at once; print what each run says. Return the worst exit code."""
    worst = 0
    for group in groups:
        began = time.monotonic()
        commands = [[sys.executable, "-m", "tests.chaos", *arguments, f"--output={output}"] for arguments in group]
        running = [
            subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            for command in commands
        ]
        try:
            for arguments, process in zip(group, running, strict=True):
                text, _ = process.communicate()
                sys.stdout.write(f"\n== {' '.join(arguments)}: exit code {process.returncode}\n{text}")
                worst = max(worst, abs(process.returncode))
        finally:
            for process in running:
                # They stop their servers and workers on the way out.
                process.terminate()
                process.wait()
        sys.stdout.write(f"{time.monotonic() - began:.0f} s\n")
        sys.stdout.flush()
    return worst
