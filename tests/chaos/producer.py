"""A producer, the work of `manage.py chaos_produce`.

Enqueues so many jobs, spread over so many seconds, one by one and in bulk, in transactions that are committed, rolled
back, or rolled back in part. What it means stands in the journal before it is done, what came of it afterwards.
"""

import json
import os
import random
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import Error, connection, transaction

from django_tasks_q import enqueue, enqueue_many

from .history import COMMITTED, ROLLED_BACK, UNKNOWN
from .kinds import ATOMIC
from .models import Mark
from .tasks import TASKS
from .texts import ALPHABETS, payload_arguments, random_size

__all__ = ["LOADS", "Journal", "Producer"]

# Shares of each task, of each way to enqueue, and of how long a job takes.
SHARES = {
    "ordinary": 40, "atomic": 30, "flaky": 6, "flaky_atomic": 6, "doomed": 3, "doomed_atomic": 3, "chain": 6,
    "late": 6,
}  # fmt: skip
# What a load adds to them.
LOADS = {
    "payloads": {"payload": 6, "returning": 3},
    "raising": {"raises": 4},
    "deep": {"deep": 4},
    "chatty": {"chatty": 3},
}
LONGEST_BULK = 40
PAUSE_AFTER_ERROR = 0.2


class Undone(Exception):
    """Raised by a producer that changes its mind."""


class Journal:
    """Lines of JSON, each on disk before the next step."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **line: Any) -> None:
        os.write(self._file, f"{json.dumps({'at': time.time(), **line})}\n".encode())


class Producer:
    """slow: the share of jobs that take a second or more. loads: of LOADS."""

    def __init__(self, name: str, seed: int, journal: Journal, slow: float, loads: Sequence[str] = ()) -> None:
        self.name = name
        self.random = random.Random(seed)
        self.journal = journal
        self.slow = slow
        self.shares = SHARES.copy()
        for load in loads:
            self.shares |= LOADS[load]
        self.jobs = 0

    def produce(self, jobs: int, seconds: float) -> None:
        """Enqueue until so many were meant, as evenly as the database lets us."""
        began = time.monotonic()
        while self.jobs < jobs:
            way = self.random.choices([*WAYS], weights=[*WAYS.values()])[0]
            way(self)
            time.sleep(max(0.0, began + seconds * self.jobs / jobs - time.monotonic()))

    # Ways to enqueue.

    def alone(self) -> None:
        """One job, in a transaction of its own: one round trip, where the database can."""
        calls = self._calls(1)
        self._do(calls, lambda: self._enqueue(calls))

    def one_by_one(self) -> None:
        calls = self._calls(self.random.randint(1, 5))
        self._do(calls, lambda: self._enqueue(calls), marked=True)

    def in_bulk(self) -> None:
        calls = self._calls(self.random.randint(2, LONGEST_BULK))
        self._do(calls, lambda: self._enqueue_many(calls))

    def in_bulk_with_others(self) -> None:
        calls = self._calls(self.random.randint(2, LONGEST_BULK))
        self._do(calls, lambda: self._enqueue_many(calls), marked=True)

    def undone(self) -> None:
        calls = self._calls(self.random.randint(1, 5))

        def enqueue_and_change_mind() -> None:
            self._enqueue(calls)
            raise Undone

        self._do(calls, enqueue_and_change_mind, marked=True)

    def undone_in_part(self) -> None:
        kept, others = self._calls(self.random.randint(1, 3)), self._calls(self.random.randint(1, 3), kept=False)

        def enqueue_and_undo() -> None:
            self._enqueue(kept)
            try:
                with transaction.atomic():
                    self._enqueue(others)
                    raise Undone
            except Undone:
                return

        self._do([*kept, *others], enqueue_and_undo, marked=True)

    # Steps.

    def _calls(self, count: int, *, kept: bool = True) -> list[dict[str, Any]]:
        calls = []
        for _ in range(count):
            self.jobs += 1
            task = self.random.choices([*self.shares], weights=[*self.shares.values()])[0]
            calls.append({"key": f"{self.name}-{self.jobs}", "task": task, "kept": kept})
        return calls

    def _do(self, calls: list[dict[str, Any]], work: Callable[[], None], *, marked: bool = False) -> None:
        batch = uuid.uuid4().hex
        self.journal.write(batch=batch, marked=marked, calls=calls)
        try:
            outcome = self._in_transaction(work, batch) if marked else self._commit_itself(work)
        except Error as error:
            outcome = UNKNOWN
            self._recover(batch, error)
        self.journal.write(batch=batch, outcome=outcome)

    def _in_transaction(self, work: Callable[[], None], batch: str) -> str:
        """Say how it ended; an error is raised only where nobody can tell: it came from the commit."""
        is_committing = False
        try:
            with transaction.atomic():
                Mark.objects.create(batch=batch)
                work()
                if transaction.get_rollback():
                    # Where the way back to a savepoint has failed, Django gives up the whole transaction, and says so
                    # to nobody who has caught what led there.
                    raise Undone
                is_committing = True
        except Undone:
            return ROLLED_BACK
        except Error as error:
            if is_committing:
                raise
            self._recover(batch, error)
            return ROLLED_BACK
        return COMMITTED

    def _commit_itself(self, work: Callable[[], None]) -> str:
        work()
        return COMMITTED

    def _recover(self, batch: str, error: Error) -> None:
        self.journal.write(batch=batch, error=f"{type(error).__name__}: {error}".strip().splitlines()[0])
        connection.close()
        time.sleep(PAUSE_AFTER_ERROR)

    def _enqueue(self, calls: list[dict[str, Any]]) -> None:
        for call in calls:
            enqueue(self._varied(call), call["key"], **self._arguments(call))

    def _enqueue_many(self, calls: list[dict[str, Any]]) -> None:
        enqueue_many([(self._varied(call), (call["key"],), self._arguments(call)) for call in calls])

    def _varied(self, call: dict[str, Any]) -> Any:
        found = TASKS[call["task"]]
        chance = self.random.random()
        if chance < 0.1:
            return found.using(run_after=timedelta(seconds=self.random.uniform(0, 5)))
        if chance < 0.3:
            return found.using(priority=self.random.randint(-10, 10))
        return found.using(queue_name="mail") if chance < 0.4 else found

    def _arguments(self, call: dict[str, Any]) -> dict[str, Any]:
        match call["task"]:
            case "payload":
                return payload_arguments(self.random, call["key"])
            case "returning":
                return {"size": random_size(self.random), "alphabet": self.random.choice([*ALPHABETS])}
            case "raises" | "deep" | "chatty":
                return {}
        chance = self.random.random()
        if self.shares != SHARES and connection.vendor == "sqlite" and call["task"] in ATOMIC:
            # It keeps everybody from writing, heartbeats included, and the next one may be luckier than they.
            return {"seconds": self.random.uniform(0, 0.05)} if chance < 0.1 + self.slow else {}
        if chance < self.slow:
            return {"seconds": self.random.uniform(1, 2.5)}
        return {"seconds": self.random.uniform(0.02, 0.3)} if chance < 0.1 + self.slow else {}


WAYS: dict[Callable[[Producer], None], int] = {
    Producer.alone: 50,
    Producer.one_by_one: 20,
    Producer.in_bulk: 5,
    Producer.in_bulk_with_others: 5,
    Producer.undone: 10,
    Producer.undone_in_part: 10,
}
