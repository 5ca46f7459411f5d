"""A pool that grows and shrinks: a program, because it forks.

It takes a folder for its files, and writes what it has seen, as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import django

from tests.waiting import wait_for

__all__: list[str] = []

django.setup()

from django_tasks_q.brokers import get_broker  # noqa: E402
from django_tasks_q.brokers.values import ClaimedJob  # noqa: E402
from django_tasks_q.services.registry import Identity, Registry  # noqa: E402
from django_tasks_q.signals import child_exited  # noqa: E402
from django_tasks_q.worker.pools.base import Pool, Slot  # noqa: E402
from django_tasks_q.worker.pools.prefork import PreforkPool  # noqa: E402
from django_tasks_q.worker.sleep import wait_for_any  # noqa: E402

from ..jobs import make_job  # noqa: E402


class Scene:
    """A pool of one child at first, of which only the contract is used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pool: Pool = PreforkPool(Registry(get_broker("default"), Identity("test", [], [], 1)))
        self.events: list[str] = []
        self.causes: list[str | None] = []
        child_exited.connect(self._note_exit)
        self.pool.start()
        self.wait_until(lambda: self.open() == 1)

    def open(self) -> int:
        """Return how many slots take jobs."""
        return sum(slot.takes_jobs for slot in self.pool.slots)

    def numbers(self) -> list[int]:
        return [slot.number for slot in self.pool.slots]

    def run(self, slot: Slot, label: str, *others: ClaimedJob) -> None:
        """Have a slot run a job until its file is there, and hold others behind it."""
        args = json.dumps([str(self.folder / label), label])
        self.pool.assign(slot, [make_job("tests.worker.tasks.wait", args=args), *others])
        wait_for((self.folder / f"{label}-{label}-begun").exists, f"{label} to begin")

    def end(self, label: str) -> None:
        """Let that job end."""
        ended = len(self.events)
        (self.folder / label).touch()
        self.wait_until(lambda: len(self.events) > ended)

    def wait_until(self, condition: Any) -> None:
        wait_for(lambda: self._turn() or condition(), "the pool")

    def _turn(self) -> None:
        wait_for_any(self.pool.descriptors(), 0.05)
        self.events += [type(event).__name__ for event in self.pool.collect()]

    def _note_exit(self, cause: str | None, **facts: Any) -> None:
        self.causes.append(cause)


def play(scene: Scene) -> dict[str, Any]:
    pool, seen = scene.pool, {}
    seen["left by growth"] = pool.resize(3)
    scene.wait_until(lambda: scene.open() == 3)
    first = next(iter(pool.slots))
    scene.run(first, "a", make_job(), make_job())

    # The idle ones go.
    seen["left by the idle"] = pool.resize(1)
    scene.wait_until(lambda: len(pool.slots) == 1)
    seen["the busy one stays"] = scene.numbers() == [first.number] and first.takes_jobs

    pool.resize(2)
    scene.wait_until(lambda: scene.open() == 2)
    second = max(pool.slots, key=lambda slot: slot.number)
    scene.run(second, "b")
    # One of the busy ones is to go, and something else is to come.
    seen["left by the busy"] = len(pool.resize(1))
    pool.resize(2)
    scene.wait_until(lambda: True)
    seen["none takes its place"] = scene.numbers() == [first.number, second.number] and scene.open() == 1
    scene.end("a")
    scene.wait_until(lambda: first.number not in scene.numbers() and scene.open() == 2)
    pool.resize(1)
    scene.wait_until(lambda: len(pool.slots) == 1)
    scene.end("b")
    seen["the last"] = scene.numbers() == [second.number] and second.takes_jobs
    return seen | {"events": scene.events, "causes": scene.causes}


if __name__ == "__main__":
    scene = Scene(Path(sys.argv[1]))
    try:
        sys.stdout.write(json.dumps(play(scene)))
    finally:
        scene.pool.close()
