"""Which lines of a file are to be refused by type checkers, and which they refuse."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "Checker", "compare"]

ROOT = Path(__file__).parent.parent.parent
MARK = "  # error"
# A checker's message, by its file and line.
Refusals = Mapping[tuple[Path, int], Sequence[str]]


def compare(files: Iterable[Path], refusals: Refusals) -> list[str]:
    """Return what differs: marked lines that were not refused, and refused ones that are not marked."""
    known = set(files)
    problems = [f"{file}:{number}: {said}" for (file, number), said in refusals.items() if file not in known]
    for file in sorted(known):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            said = refusals.get((file, number), ())
            if bool(said) != line.endswith(MARK):
                reasons = "; ".join(said) or "it is not refused"
                problems.append(f"{file.name}:{number}: {line.strip()}\n    {reasons}")
    return problems


@dataclass(frozen=True)
class Checker:
    """A type checker that runs. kind: mypy or pyright."""

    name: str
    kind: str
    files: tuple[Path, ...]
    process: "subprocess.Popen[str]"

    @classmethod
    def mypy(cls, files: Sequence[Path], *, with_stubs: bool) -> "Checker":
        """Start mypy --strict. with_stubs: whether it knows what is installed, django-stubs among that."""
        name = f"mypy with{'' if with_stubs else 'out'} django-stubs"
        # Silent: in a project the package is installed, and what a checker finds in there is not shown.
        options = ["--strict", "--config-file=", "--follow-imports=silent", "--no-error-summary", "--no-pretty"]
        options += ["--show-absolute-path", "--hide-error-context", f"--cache-dir={ROOT / '.mypy_cache' / name}"]
        if not with_stubs:
            options += ["--no-site-packages", "--ignore-missing-imports"]
        return cls(name, "mypy", tuple(files), _start(["mypy", *options, *map(str, files)]))

    @classmethod
    def pyright(cls, files: Sequence[Path]) -> "Checker":
        command = ["pyright", "--outputjson", "--pythonpath", sys.executable, *map(str, files)]
        return cls("pyright", "pyright", tuple(files), _start(command))

    def problems(self) -> list[str]:
        """Return what the checker should have said and did not, or the other way round. Raise where it broke."""
        output, errors = self.process.communicate()
        if self.process.returncode > 1 or errors.strip():
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}: {output}{errors}")
        return compare(self.files, _of_mypy(output) if self.kind == "mypy" else _of_pyright(output))


def _start(command: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _of_mypy(output: str) -> Refusals:
    found: dict[tuple[Path, int], list[str]] = {}
    for line in output.splitlines():
        place, is_error, message = line.partition(": error: ")
        if is_error:
            file, _, number = place.partition(":")
            found.setdefault((Path(file), int(number.partition(":")[0])), []).append(message)
    return found


def _of_pyright(output: str) -> Refusals:
    found: dict[tuple[Path, int], list[str]] = {}
    for entry in json.loads(output)["generalDiagnostics"]:
        if entry["severity"] == "error":
            # It counts lines from 0.
            place = Path(entry["file"]), entry["range"]["start"]["line"] + 1
            found.setdefault(place, []).append(entry["message"].splitlines()[0])
    return found
