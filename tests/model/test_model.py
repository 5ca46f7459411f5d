"""The models in this directory, explored to the end; and the mistakes that they must find."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.needs import require
from tests.servers import MissingService

HERE = Path(__file__).parent
# TEST_MODEL=large explores more, for minutes.
LARGE = os.environ.get("TEST_MODEL") == "large"
DEPTH, MEGABYTES, SECONDS = 1_000_000, 12_000 if LARGE else 3_000, 3_600 if LARGE else 170
# Of what would spoil the answer: too little depth or memory, or an index out of bounds.
INCOMPLETE = ("max search depth too small", "MEMLIM", "out of memory", "not completed", "Warning", "error:")
Bounds = Mapping[str, int]


class How(NamedTuple):
    """What to look for: how the checker is compiled, and what it is told."""

    compiled_with: Sequence[str]
    options: Sequence[str] = ()


SAFETY = How(["-DSAFETY"])
# Acceptance cycles, under weak fairness: whoever can go on for ever does. NFAIR makes room for up to 32 processes.
LIVENESS = How(["-DNFAIR=4"], ["-a", "-f"])

pytestmark = pytest.mark.timeout(SECONDS + 60)

ONE_JOB = {"JOBS": 1}
NO_FAULT = {"CRASHES": 0, "FREEZES": 0, "STOPS": 0, "REQUEUES": 0}
LIFE: dict[str, Bounds] = {
    "one job, a fault of each kind": ONE_JOB,
    "two jobs, a worker that comes back": {**NO_FAULT, "FREEZES": 1},
    "three workers": {**ONE_JOB, "WORKERS": 3, "STOPS": 0, "REQUEUES": 0},
    "a worker that comes back twice, and jobs given back": {**ONE_JOB, **NO_FAULT, "FREEZES": 2, "RELEASES": 1},
}
LIFE_LARGE: dict[str, Bounds] = {
    "two jobs, a crash and a worker that comes back": {**NO_FAULT, "CRASHES": 1, "FREEZES": 1},
    "three workers, a requeue": {**ONE_JOB, "WORKERS": 3, "STOPS": 0},
}
ENDINGS: dict[str, Bounds] = {"one job, a fault of each kind": {**ONE_JOB, "REQUEUES": 0}}
ENDINGS_LARGE: dict[str, Bounds] = {"one job, a fault of each kind, a requeue": ONE_JOB}
MISTAKES = ["NO_FENCE", "RESCUE_WITHOUT_CHECK", "NO_SWEEP", "TWO_TRANSACTIONS", "CHARGE_ALL", "CLAIM_WHEN_LOST"]
WAKE_UP: dict[str, Bounds] = {
    "one worker, two producers": {"WORKERS": 1, "JOBS_OF_EACH": 2},
    "two workers": {},
    "jobs that never end": {"HANG": 1},
}
WAKE_UP_LARGE: dict[str, Bounds] = {
    "two workers, four jobs": {"JOBS_OF_EACH": 2},
    "a worker with two children": {"WORKERS": 1, "CHILDREN": 2, "PRODUCERS": 3, "JOBS_OF_EACH": 2},
}
SLEEPY_MISTAKES = ["NO_RECHECK", "SLEEP_UNTOLD", "ASK_BEFORE_COMMIT", "DROP_WHILE_AWAKE"]


def named(always: Mapping[str, Bounds], large: Mapping[str, Bounds]) -> list[Any]:
    """Return the bounds to explore, under their names."""
    return [pytest.param(bounds, id=name) for name, bounds in {**always, **(large if LARGE else {})}.items()]


def _find_tools() -> str:
    missing = [name for name in ("spin", "gcc") if shutil.which(name) is None]
    if missing:
        raise MissingService(f"There is no {' and no '.join(missing)}; in Debian the packages have these names.")
    return "spin"


@pytest.fixture(scope="module")
def spin() -> str:
    return require(_find_tools)


class Model:
    """One of the models, with its bounds."""

    def __init__(self, spin: str, name: str, directory: Path, bounds: Bounds, *flags: str) -> None:
        self.spin = spin
        self.directory = directory
        self.source = HERE / name
        self.definitions = [*(f"-D{key}={value}" for key, value in bounds.items()), *(f"-D{flag}" for flag in flags)]

    def explore(self, how: How, *, optimise: str = "-O2") -> str:
        """Return what the checker says: of all states, or of those until the first error."""
        self._run(self.spin, "-a", *self.definitions, str(self.source))
        self._run("gcc", optimise, "-w", f"-DMEMLIM={MEGABYTES}", *how.compiled_with, "-o", "pan", "pan.c")
        return self._run("./pan", f"-m{DEPTH}", *how.options)

    def trail(self) -> str:
        """Return the way to the error, step by step."""
        (trail,) = self.directory.glob("*.trail")
        steps = self._run(self.spin, "-k", trail.name, "-p", "-g", *self.definitions, str(self.source))
        return "\n".join(steps.splitlines()[-120:])

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr


def number_of(what: str, said: str) -> int:
    """Return a number that the checker told."""
    pattern = {"errors": r"errors: (\d+)", "states": r"(\S+) states, stored"}[what]
    (found,) = re.findall(pattern, said)
    return int(float(found))


def assert_holds(model: Model, how: How) -> None:
    said = model.explore(how)
    assert number_of("errors", said) == 0, f"{said}\n{model.trail()}"
    assert [words for words in INCOMPLETE if words in said] == [], said
    sys.stderr.write(f"\n{model.source.name} {' '.join(model.definitions)}: {number_of('states', said):,} states\n")


def assert_fails(model: Model, how: How, because: str) -> None:
    # It is found at once: most of the time would go into the compiler.
    said = model.explore(how, optimise="-O0")
    assert number_of("errors", said) == 1, said
    assert because in said, said


@pytest.mark.parametrize("bounds", named(LIFE, LIFE_LARGE))
def test_nothing_is_lost_and_nothing_finishes_twice(spin: str, tmp_path: Path, bounds: Bounds) -> None:
    assert_holds(Model(spin, "life.pml", tmp_path, bounds), SAFETY)


@pytest.mark.parametrize("bounds", named(ENDINGS, ENDINGS_LARGE))
def test_every_job_is_finished_in_the_end(spin: str, tmp_path: Path, bounds: Bounds) -> None:
    assert_holds(Model(spin, "life.pml", tmp_path, bounds, "LIVENESS"), LIVENESS)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(spin: str, tmp_path: Path, mistake: str) -> None:
    assert_fails(Model(spin, "life.pml", tmp_path, ONE_JOB, mistake), SAFETY, "assertion violated")


def test_a_job_that_nobody_looks_for_is_missed(spin: str, tmp_path: Path) -> None:
    assert_fails(Model(spin, "life.pml", tmp_path, ONE_JOB, "LIVENESS", "NO_SWEEP"), LIVENESS, "acceptance cycle")


@pytest.mark.parametrize("bounds", named(WAKE_UP, WAKE_UP_LARGE))
def test_no_enqueue_is_slept_through(spin: str, tmp_path: Path, bounds: Bounds) -> None:
    assert_holds(Model(spin, "wake_up.pml", tmp_path, bounds), LIVENESS)


@pytest.mark.parametrize("mistake", SLEEPY_MISTAKES)
def test_a_mistake_before_sleep_is_found(spin: str, tmp_path: Path, mistake: str) -> None:
    assert_fails(Model(spin, "wake_up.pml", tmp_path, {"WORKERS": 1}, mistake), LIVENESS, "acceptance cycle")


def test_a_wake_up_that_is_swallowed_is_found(spin: str, tmp_path: Path) -> None:
    assert_fails(Model(spin, "wake_up.pml", tmp_path, {"HANG": 1}, "NO_PASS_ON"), LIVENESS, "acceptance cycle")
