"""Django projects of their own, in a folder that is thrown away."""

import os
import subprocess
import sys
from pathlib import Path

from .blocks import ROOT

__all__ = ["Project"]

# The words of a shell that the documentation uses, for the Python that runs the tests.
SHELL = """
set -eu
python() { "$PYTHON" "$@"; }
django-admin() { "$PYTHON" -m django "$@"; }
"""
LIMIT = 170  # seconds


class Project:
    """A folder with a manage.py, and the commands that are run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
        self.environment = {**kept, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable}

    def add(self, file: str, text: str) -> None:
        """Put text at the end of a file, which is made where it is not there."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if path.exists() else ""
        path.write_text(f"{before}\n{text}" if before else text)

    def shell(self, script: str) -> str:
        """Run lines of a shell in the folder; return what they wrote. Raise AssertionError if one failed."""
        return self._run(["bash", "-c", SHELL + script])

    def manage(self, *arguments: str) -> str:
        """Run manage.py; return what it wrote. Raise AssertionError if it failed."""
        return self._run([sys.executable, "manage.py", *arguments])

    def start(self, *arguments: str, output: Path) -> "subprocess.Popen[bytes]":
        """Start manage.py in the background, its output in a file."""
        with output.open("wb") as file:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    def try_shell(self, script: str) -> tuple[int, str]:
        """Run lines of a shell; return the exit code of the first that failed, or 0, and what they wrote."""
        done = self._start(["bash", "-c", SHELL + script])
        return done.returncode, done.stdout

    def _run(self, command: list[str]) -> str:
        done = self._start(command)
        assert done.returncode == 0, f"{command} ended with exit code {done.returncode}:\n{done.stdout}"
        return done.stdout

    def _start(self, command: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT,
        )
