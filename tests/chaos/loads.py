"""What is asked of the workers at one moment, beside the even stream of the producers: see LOADS."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import ClassVar

from django.db import Error, OperationalError, connection, transaction
from django.utils import timezone

from django_tasks_q import enqueue, enqueue_many
from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.failures import Failure
from django_tasks_q.models import Job, Worker

from .crew import Crew
from .excuses import EVERYBODY, Excuses
from .heavy import HEAVY
from .history import UNKNOWN, Call, Swarm
from .kinds import LACKING, NOBODY
from .models import Mark
from .multiply import make_swarm
from .texts import payload_arguments

__all__ = ["BURSTS", "Burst", "Ground"]

# Of the numbers for PostgreSQL.
SHARES = {"postgresql": 1.0, "mysql": 0.4, "sqlite": 0.1}
# Seconds until jobs are due, and in which a job begins.
UNTIL_DUE, LONGEST_BEGIN = 8.0, 15.0
TABLE = Job._meta.db_table


class Undone(Exception):
    """Ends a transaction that is to be rolled back."""


@dataclass(slots=True, kw_only=True)
class Ground:
    """What bursts work on, and what they have done. seconds: of the run."""

    vendor: str
    seconds: float
    random: Random
    crew: Crew
    excuses: Excuses
    tell: Callable[[str, str], None]
    calls: dict[str, Call] = field(default_factory=dict)
    swarms: list[Swarm] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    is_over: threading.Event = field(default_factory=threading.Event)

    def size(self, most: int, a_second: float) -> int:
        """Return how many of them a run of this length and on this database can take."""
        return max(20, int(min(most, a_second * self.seconds) * SHARES[self.vendor]))

    def swarm(self, name: str, task: str, count: int, rest: str = "SUCCESSFUL") -> Swarm:
        swarm = Swarm(name=f"{name}-{len(self.swarms)}", task=task, count=count, rest=rest)
        self.swarms.append(swarm)
        self.tell("swarm", f"{count:,} jobs of {task}, {swarm.name}")
        return swarm

    def call(self, batch: str, task: str) -> str:
        """Return the key of a job that is enqueued in a transaction with this mark."""
        key = f"{batch}.{len(self.calls)}"
        self.calls[key] = Call(key=key, task=task, fate=UNKNOWN, batch=batch, at=time.time(), marked=True)
        return key

    def hold(self, why: str, seconds: float, *what: str) -> None:
        """Keep a transaction open, and excuse what it keeps from being done: on SQLite, everything."""
        given = {"what": what} if self.vendor != "sqlite" else {}
        self.excuses.until(EVERYBODY, why, lambda: self.is_over.wait(seconds), 2.0, **given)()


class Burst:
    """often: seconds of a run for each time that it happens; 0: at the beginning, once."""

    often: ClassVar[float] = 60.0

    def begin(self, ground: Ground) -> None:
        """Do what the loop of the run has to do."""

    def work(self, ground: Ground) -> None:
        """Do the rest, in a thread with a connection of its own."""

    def run(self, ground: Ground, name: str) -> None:
        try:
            self.work(ground)
        except (Error, AssertionError) as error:
            ground.tell("missed", f"{name}: {type(error).__name__}: {error}".strip().splitlines()[0])
        finally:
            connection.close()


class Backlog(Burst):
    """READY rows of a queue that nobody serves."""

    often = 0.0

    def work(self, ground: Ground) -> None:
        make_swarm(ground.swarm("backlog", "swarm", ground.size(2_000_000, 2_000), rest="READY"), NOBODY)


class Due(Burst):
    """Delayed jobs that are all due at one moment."""

    often = 600.0

    def work(self, ground: Ground) -> None:
        moment = timezone.now() + timedelta(seconds=UNTIL_DUE)
        make_swarm(ground.swarm("due", "swarm", ground.size(300_000, 500)), "due", run_after=moment)


class Unknown(Burst):
    """A flood of jobs of a task that no worker knows, as all are older than their producers, for a while."""

    often = 600.0

    def begin(self, ground: Ground) -> None:
        ground.excuses.note(EVERYBODY, "all are deployed", 8.0, what={"probe"})
        for place in ground.crew.places:
            ground.crew.dismiss(place, **{LACKING: "1"})

    def work(self, ground: Ground) -> None:
        make_swarm(ground.swarm("unknown", "swarm_late", ground.size(100_000, 1_000)), "default")
        # What is put aside does not count as ended.
        ground.excuses.until(EVERYBODY, "nobody knows a task", lambda: self._wait(ground), 10.0, {"hands"})()
        ground.excuses.note(EVERYBODY, "all are deployed", 8.0, what={"probe"})
        ground.crew.heal()

    def _wait(self, ground: Ground) -> None:
        ground.is_over.wait(max(10.0, min(60.0, ground.seconds / 4)))


class Raising(Burst):
    """Jobs that raise at once, some of them from deep within."""

    often = 300.0

    def work(self, ground: Ground) -> None:
        make_swarm(ground.swarm("raising", "swarm_raises", ground.size(40_000, 200), rest="FAILED"), "default")
        make_swarm(ground.swarm("deep", "swarm_deep", ground.size(10_000, 50), rest="FAILED"), "default")


class DeadWorkers(Burst):
    """Rows as the workers of a dead host leave them: some dozens of workers, with some jobs each."""

    often = 120.0
    workers, jobs = 34, 8

    def work(self, ground: Ground) -> None:
        swarm = ground.swarm("dead", "swarm", self.workers * self.jobs)
        now = timezone.now()
        with transaction.atomic():
            for number in range(self.workers):
                Worker.objects.create(
                    id=f"{swarm.name}.{number}", host="dead", node="dead", pid=1, concurrency=4, started_at=now,
                    heartbeat_at=now,
                )  # fmt: skip
            numbered = f"CONCAT('{swarm.name}.', {{n}} % {self.workers})"
            if ground.vendor == "sqlite":
                numbered = f"'{swarm.name}.' || ({{n}} % {self.workers})"
            changes = {"worker_id": numbered, "status": "'RUNNING'", "attempt": "1", "started_at": "enqueued_at"}
            make_swarm(swarm, "default", changes=changes | {"last_attempted_at": "enqueued_at"})


class Payloads(Burst):
    """Large arguments, and large return values of four-byte characters, all at once."""

    often = 120.0
    # How many, and bytes of each, one or the other; then how many results, and their characters.
    kinds = ((200, 500_000, 1_000_000), (800, 90_000, 110_000))
    results, characters, step = 40, 262_000, 20

    def work(self, ground: Ground) -> None:
        count, least, most = ground.random.choice(self.kinds)
        count, results = (max(4, int(number * SHARES[ground.vendor])) for number in (count, self.results))
        ground.tell("large", f"{count} jobs of {least:,} to {most:,} bytes and {results} results of 1 MB")
        for start in range(0, count, self.step):
            self._enqueue(ground, "payload", min(self.step, count - start), (least, most))
        self._enqueue(ground, "returning", results)

    def _enqueue(self, ground: Ground, task: str, count: int, sizes: tuple[int, int] = (0, 0)) -> None:
        batch = f"large-{len(ground.calls)}"
        jobs = []
        for _ in range(count):
            key = ground.call(batch, task)
            arguments: dict[str, object] = {"size": 4 * self.characters, "alphabet": "four-byte"}
            if task == "payload":
                arguments = payload_arguments(ground.random, key, ground.random.randint(*sizes))
            jobs.append((HEAVY[task], (key,), arguments))
        with transaction.atomic():
            Mark.objects.create(batch=batch)
            enqueue_many(jobs)


class RowLocks(Burst):
    """A transaction that has cancelled a running job, and stays open for long; then it is rolled back or committed."""

    def work(self, ground: Ground) -> None:
        batch = f"held-{len(ground.calls)}"
        keys = [ground.call(batch, "held") for _ in range(3)]
        with transaction.atomic():
            Mark.objects.create(batch=batch)
            results = [enqueue(HEAVY["held"], key, seconds=3.0) for key in keys]
        found = {str(result.id): (key, result) for key, result in zip(keys, results, strict=True)}
        key, result = found[self._running([*found], ground)]
        commits = ground.random.random() < 0.5
        if commits:
            ground.cancelled.add(key)
        longest = 4.0 if ground.vendor == "sqlite" else min(25.0, max(6.0, ground.seconds / 4))
        seconds = ground.random.uniform(min(5.0, longest / 2), longest)
        ground.tell("row-lock", f"job {result.id} for {seconds:.1f} s, then {'committed' if commits else 'undone'}")
        try:
            with transaction.atomic():
                result.cancel()
                # The worker that runs it cannot record its end.
                ground.hold("a job is locked", seconds, "stop")
                if not commits:
                    raise Undone
        except Undone:
            return

    def _running(self, ids: list[str], ground: Ground) -> str:
        """Return one that runs by now."""
        deadline = time.monotonic() + LONGEST_BEGIN
        while time.monotonic() < deadline:
            for job in Job.objects.filter(id__in=ids, status="RUNNING"):
                return str(job.id)
            ground.is_over.wait(0.1)
        raise AssertionError("none of the jobs to lock has begun")


class TableLock(Burst):
    """As an ALTER TABLE: nobody sees the table for a while."""

    often = 120.0

    def work(self, ground: Ground) -> None:
        seconds = ground.random.uniform(1.5, 4.0)
        while not self._lock(seconds, ground):
            ground.is_over.wait(1.0)

    def _lock(self, seconds: float, ground: Ground) -> bool:
        """Lock the table for so long; return whether that was possible.

        While one waits for the lock, behind a long transaction, everybody else waits for it too: so not for long.
        """
        try:
            with connection.cursor() as cursor:
                if ground.vendor == "mysql":
                    cursor.execute("SET SESSION lock_wait_timeout = 1")
                    cursor.execute(f"LOCK TABLES {TABLE} WRITE")
                    self._hold(seconds, ground)
                    cursor.execute("UNLOCK TABLES")
                    return True
                with transaction.atomic():
                    if ground.vendor == "postgresql":
                        cursor.execute("SET LOCAL lock_timeout TO '1s'")
                        cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
                    self._hold(seconds, ground)
        except OperationalError as error:
            if get_broker("default").dialect.failure(error) is not Failure.LOCKED:
                raise
            return ground.is_over.is_set()
        return True

    def _hold(self, seconds: float, ground: Ground) -> None:
        ground.tell("table-lock", f"for {seconds:.1f} s")
        ground.hold("the table is locked", seconds, "hands", "probe", "stop", "still")


class Busy(Burst):
    """Other programs of this host, which take all of its cores."""

    often = 120.0

    def work(self, ground: Ground) -> None:
        seconds = min(30.0, ground.seconds / 3)
        ground.tell("busy", f"for {seconds:.0f} s")
        program = f"import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"
        programs = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(os.cpu_count() or 1)]
        ground.is_over.wait(seconds)
        for each in programs:
            each.kill()
            each.wait()


BURSTS: dict[str, Burst] = {
    "backlog": Backlog(),
    "due": Due(),
    "unknown": Unknown(),
    "raising-burst": Raising(),
    "dead-workers": DeadWorkers(),
    "large": Payloads(),
    "row-locks": RowLocks(),
    "table-lock": TableLock(),
    "busy": Busy(),
}
