"""Random sequences of a broker's verbs, from several connections, compared with plain Python after each step.

TEST_HYPOTHESIS_EXAMPLES sets how many sequences there are.
"""

import os
from collections import ChainMap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from operator import attrgetter
from typing import Any, ClassVar

import pytest
from django.conf import settings as database
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from django_tasks_q.brokers import get_broker
from django_tasks_q.brokers.values import ClaimedJob, Outcome
from django_tasks_q.control import queues
from django_tasks_q.lifecycle import Ending
from django_tasks_q.models import Job, Queue, Result, Worker
from django_tasks_q.services import rescuer as rescuing
from django_tasks_q.services.registry import Identity, Load, Registry
from django_tasks_q.services.rescuer import Rescuer
from django_tasks_q.worker.recording.recorder import Recorder
from tests.servers import is_required
from tests.waiting import LIMIT

from .books import CANCELLABLE, Books, Entry
from .conftest import make_spec
from .sessions import Session
from .tables import as_row, rows

EXAMPLES = int(os.environ.get("TEST_HYPOTHESIS_EXAMPLES", "6"))
STEPS = 40
SESSIONS, WORKERS = 3, 3
LOAD = Load(0, 0, 0)
ERROR = '{"exception": "builtins.ValueError", "traceback": "", "kind": "error"}'
# How a run ends, as workers report it.
KINDS: dict[str, dict[str, Any]] = {
    "success": {"ending": Ending.SUCCESS, "status": "SUCCESSFUL", "return_value": "[1]"},
    "failure": {"ending": Ending.ERROR, "status": "FAILED", "error": ERROR},
    "retry": {"ending": Ending.ERROR, "status": "READY", "error": ERROR},
    "retry soon": {"ending": Ending.TIMEOUT, "status": "SCHEDULED", "error": ERROR, "retry_in": 0.001},
    "retry later": {"ending": Ending.ERROR, "status": "SCHEDULED", "error": ERROR, "retry_in": 9e6},
    "loss": {"ending": Ending.LOST, "status": "READY", "error": ERROR},
    "last loss": {"ending": Ending.OUT_OF_MEMORY, "status": "FAILED", "error": ERROR},
    "stop": {"ending": Ending.STOPPED, "status": "READY"},
}
QUEUES = ["a", "it's"]
sessions = st.integers(0, SESSIONS - 1)
workers = st.integers(0, WORKERS - 1)
limits = st.integers(1, 5)
fresh = st.sampled_from([True, True, False])
some = st.sets(st.integers(0, 40), min_size=1, max_size=6)
whens = st.sampled_from(["now", "now", "now", "soon", "later"])


@dataclass
class Registered:
    """A worker that has said that it lives."""

    registry: Registry
    is_silent: bool = False
    is_alive: bool = True

    @property
    def id(self) -> str:
        return self.registry.worker_id


class Verbs(RuleBasedStateMachine):
    """The verbs, in any order. At most one session has a transaction open; the others pass by what it has changed."""

    broker: ClassVar[Any]
    sessions: ClassVar[list[Session]]

    def __init__(self) -> None:
        super().__init__()
        for model in (Job, Result, Worker, Queue):
            model.objects.all().delete()
        self.committed: dict[str, Entry | None] = {}
        self.pending: dict[str, Entry | None] = {}
        self.paused: set[str] = set()
        self.in_transaction: Session | None = None
        # All claims ever made, whatever happened to them, and by whom.
        self.copies: list[tuple[str, ClaimedJob]] = []
        self.start = timezone.now() - timedelta(hours=1)
        self.ticks = 0
        self.workers = [self._register(number) for number in range(WORKERS)]

    def _register(self, number: int) -> Registered:
        registry = Registry(self.broker, Identity(f"w{number}", [], [], 1))
        registry.register()
        return Registered(registry)

    def teardown(self) -> None:
        if self.in_transaction:
            self.in_transaction.end(commit=False)

    # What a session sees, and may touch.

    def _session(self, number: int) -> Session:
        # Where one is open, it is the only one: SQLite has one writer, and InnoDB locks more than it changes.
        alone = self.in_transaction and connection.vendor != "postgresql"
        return self.in_transaction if alone else self.sessions[number]

    def _books(self, session: Session) -> Books:
        options = self.broker.options
        bounds = {"max_losses": options.max_losses, "max_errors": options.max_errors}
        if session is self.in_transaction:
            return Books(ChainMap(self.pending, self.committed), self.paused, frozenset(), **bounds)
        return Books(self.committed, self.paused, self.pending.keys(), **bounds)

    def _ids(self, session: Session, wanted: set[int], applies: Callable[[Entry], bool]) -> list[str]:
        """Return ids that exist or did, except those that another session holds; first those to which it applies."""
        entries = self._books(session).entries
        known = [job_id for job_id in entries if self._is_free(session, job_id)]
        fit = {job_id for job_id in known if entries[job_id] is not None and applies(entries[job_id])}
        known.sort(key=lambda job_id: (job_id not in fit, job_id))
        return picked([job_id for job_id in known if job_id in fit or self._may_be_refused(session)], wanted)

    def _may_be_refused(self, session: Session) -> bool:
        # MySQL keeps the lock of a single row that did not match until the end of the transaction.
        return database.DATABASE != "mysql" or session is not self.in_transaction

    def _is_free(self, session: Session, job_id: str) -> bool:
        return session is self.in_transaction or job_id not in self.pending

    def _copies(self, session: Session, wanted: set[int], *, fresh: bool) -> list[tuple[str, ClaimedJob]]:
        """Return claims; fresh: only those that stand, where there are any."""
        free = [copy for copy in self.copies if self._is_free(session, copy[1].id)]
        entries = self._books(session).entries
        standing = [(worker, job) for worker, job in free if stands(entries[job.id], worker, job)]
        must_stand = (fresh and standing) or not self._may_be_refused(session)
        return picked(standing if must_stand else free, wanted)

    def _tick(self) -> Any:
        self.ticks += 1
        return self.start + timedelta(milliseconds=10 * self.ticks)

    def _is_closed(self) -> bool:
        return self.in_transaction is None

    def _has_copies(self) -> bool:
        return bool(self.copies)

    def _has_results(self) -> bool:
        return any(entry is not None and entry.is_final for entry in {**self.committed, **self.pending}.values())

    def _has_ready(self) -> bool:
        return any(entry is not None and entry.status == "READY" for entry in self.committed.values())

    @initialize(whens=st.lists(whens, min_size=10, max_size=10))
    def begin_with_some(self, whens: list[str]) -> None:
        for number, queue in enumerate(QUEUES):
            self.enqueue(number, [(queue, n % 3, when) for n, when in enumerate(whens)])
            self.claim(number, number, queue, 3)

    # producers

    @rule(
        session=sessions,
        calls=st.lists(st.tuples(st.sampled_from(QUEUES), st.integers(-1, 1), whens), min_size=1, max_size=4),
    )
    def enqueue(self, session: int, calls: Sequence[tuple[str, int, str]]) -> None:
        chosen, specs = self._session(session), []
        for queue, priority, when in calls:
            now = self._tick()
            after = {"now": None, "soon": now + timedelta(seconds=1), "later": now + timedelta(days=90)}[when]
            specs.append(make_spec(queue_name=queue, priority=priority, enqueued_at=now, run_after=after))
        chosen.run(self.broker.enqueue, specs)
        self._books(chosen).enqueue(specs)

    # workers

    @precondition(_has_ready)
    @rule(session=sessions, worker=workers, queue=st.sampled_from(QUEUES), limit=limits)
    def claim(self, session: int, worker: int, queue: str, limit: int) -> None:
        chosen, worker_id = self._session(session), self.workers[worker].id
        jobs = chosen.run(self.broker.claim, worker_id, queue, limit)
        # A worker that was presumed dead gets nothing.
        expected = self._books(chosen).claim(worker_id, queue, limit) if self.workers[worker].is_alive else []
        found = [(job.id, job.priority, job.attempt, job.failures, job.losses) for job in jobs]
        assert found == [(job.id, job.priority, job.attempt, job.failures, job.losses) for job in expected]
        self.copies += [(worker_id, job) for job in jobs]

    @precondition(_has_copies)
    @rule(
        session=sessions,
        wanted=some,
        kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=4),
        thief=st.sampled_from([None, None, None, *range(WORKERS)]),
        fresh=fresh,
        is_old=st.booleans(),
    )
    def finish(
        self, session: int, wanted: set[int], kinds: Sequence[str], thief: int | None, fresh: bool, is_old: bool
    ) -> None:
        """Once or again, rightly or too late; or, as a thief, what another worker has claimed."""
        chosen = self._session(session)
        copies = self._copies(chosen, wanted, fresh=fresh)
        if not copies:
            return
        if not self._may_be_refused(chosen):
            thief = None
        worker_id = copies[0][0] if thief is None else self.workers[thief].id
        theirs = [job for holder, job in copies if thief is not None or holder == worker_id]
        outcomes = [self._outcome(job, kinds[n % len(kinds)], is_old=is_old) for n, job in enumerate(theirs)]
        recorded = chosen.run(self.broker.finish, worker_id, outcomes)
        finished, retried = self._books(chosen).finish(worker_id, outcomes)
        assert (recorded.finished, recorded.retried) == (finished, retried)
        for outcome in outcomes:
            entry = self._books(chosen).entries[outcome.id]
            is_recorded = entry is not None and entry.is_final and is_of(entry, worker_id, outcome.attempt)
            assert chosen.run(self.broker.is_recorded, worker_id, outcome) == is_recorded

    def _outcome(self, job: ClaimedJob, kind: str, *, is_old: bool) -> Outcome:
        finished_at = self._tick() - timedelta(days=is_old)
        return Outcome(
            job.id, job.attempt, started_at=finished_at, finished_at=finished_at, reason=kind, **KINDS[kind]
        )

    @precondition(_has_copies)
    @rule(session=sessions, wanted=some, fresh=fresh)
    def release(self, session: int, wanted: set[int], fresh: bool) -> None:
        chosen = self._session(session)
        copies = self._copies(chosen, wanted, fresh=fresh)
        if not copies:
            return
        worker_id = copies[0][0]
        jobs = [job for holder, job in copies if holder == worker_id]
        released = chosen.run(self.broker.release, worker_id, jobs, reason="stop")
        outcomes = [self._outcome(job, "stop", is_old=False) for job in jobs]
        assert len(released.retried) == len(self._books(chosen).finish(worker_id, outcomes)[1])

    @rule(session=sessions, limit=limits)
    def promote(self, session: int, limit: int) -> None:
        chosen = self._session(session)
        promoted = chosen.run(self.broker.promote, limit)
        assert promoted == self._books(chosen).promote(timezone.now(), limit)

    # operators

    @rule(session=sessions, wanted=some, running=st.booleans(), reason=st.sampled_from(["enough", "too long"]))
    def cancel(self, session: int, wanted: set[int], running: bool, reason: str) -> None:
        chosen = self._session(session)
        ids = self._ids(chosen, wanted, lambda entry: not entry.is_final)
        cancelled = chosen.run(self.broker.cancel, ids, reason=reason, running=running)
        assert cancelled == self._books(chosen).cancel(ids, reason, running=running)

    @rule(session=sessions, wanted=some)
    def run_now(self, session: int, wanted: set[int]) -> None:
        chosen = self._session(session)
        ids = self._ids(chosen, wanted, lambda entry: entry.status == "SCHEDULED")
        assert chosen.run(self.broker.run_now, ids) == self._books(chosen).run_now(ids)

    @rule(session=sessions, wanted=some, queue=st.sampled_from(QUEUES), priority=st.integers(-1, 1))
    def move(self, session: int, wanted: set[int], queue: str, priority: int) -> None:
        chosen = self._session(session)
        ids = self._ids(chosen, wanted, lambda entry: entry.status in CANCELLABLE)
        moved = chosen.run(self.broker.move, ids, {"queue_name": queue, "priority": priority})
        assert moved == self._books(chosen).move(ids, queue, priority)

    @precondition(_has_results)
    @rule(session=sessions, wanted=some)
    def requeue(self, session: int, wanted: set[int]) -> None:
        chosen = self._session(session)
        ids = self._ids(chosen, wanted, attrgetter("is_final"))
        assert chosen.run(self.broker.requeue, ids) == self._books(chosen).requeue(ids)

    @precondition(_has_results)
    @rule(session=sessions, wanted=st.sets(st.integers(0, 40), min_size=1, max_size=2))
    def delete(self, session: int, wanted: set[int]) -> None:
        chosen = self._session(session)
        ids = self._ids(chosen, wanted, attrgetter("is_final"))
        assert chosen.run(self.broker.delete_results, ids) == len(self._books(chosen).delete(ids))

    @precondition(lambda self: self._is_closed() and self._has_results())
    @rule(session=sessions, statuses=st.permutations(["SUCCESSFUL", "FAILED", "CANCELLED"]), limit=limits)
    def prune(self, session: int, statuses: Sequence[str], limit: int) -> None:
        chosen, half_a_day = self._session(session), 43_200
        deleted = chosen.run(self.broker.prune, statuses[:2], half_a_day, limit=limit)
        before = timezone.now() - timedelta(seconds=half_a_day)
        assert deleted == self._books(chosen).prune(statuses[:2], before, limit)

    @precondition(_is_closed)
    @rule(session=sessions, queue=st.sampled_from(QUEUES))
    def pause(self, session: int, queue: str) -> None:
        assert self._session(session).run(queues.pause, queue) == (queue not in self.paused)
        self.paused.add(queue)

    @precondition(_is_closed)
    @rule(session=sessions, queue=st.sampled_from(QUEUES))
    def resume(self, session: int, queue: str) -> None:
        assert self._session(session).run(queues.resume, queue) == (queue in self.paused)
        self.paused.discard(queue)

    # dead workers, and those who come back

    @precondition(_is_closed)
    @rule(worker=workers)
    def fall_silent(self, worker: int) -> None:
        long_ago = timezone.now() - timedelta(hours=1)
        Worker.objects.filter(id=self.workers[worker].id).update(heartbeat_at=long_ago)
        self.workers[worker].is_silent = True

    @precondition(_is_closed)
    @rule(session=sessions, worker=workers)
    def rescue(self, session: int, worker: int) -> None:
        """Of the others who are silent, and of those who were presumed dead before."""
        chosen, own = self._session(session), self.workers[worker]
        rescuer = Rescuer(self.broker, own.registry)
        chosen.run(self._rescue_all, rescuer)
        told = {job.id for job, _ in rescuer.take_rescued()}
        for other in self.workers:
            other.is_alive = other.is_alive and (other is own or not other.is_silent)
        alive = {other.id for other in self.workers if other.is_alive}
        holders = {entry.worker for entry in self._books(chosen).all() if entry.status == "RUNNING"}
        assert told == self._books(chosen).rescue(holders - alive)

    def _rescue_all(self, rescuer: Rescuer) -> None:
        """Let it run until it has nothing more to do, as a worker does."""
        for _ in range(60):
            everybody_lives = not rescuer.liveness.find_dead(but=rescuer.registry.worker_id)
            rescuer.sweep_soon()
            rescuer.run()
            if everybody_lives and not rescuer.is_busy:
                return
        raise AssertionError("The rescue does not come to an end.")

    @precondition(lambda self: self._is_closed() and self._has_copies())
    @rule(session=sessions, wanted=some)
    def record_begun(self, session: int, wanted: set[int]) -> None:
        chosen = self._session(session)
        copies = self._copies(chosen, wanted, fresh=True)
        if not copies:
            return
        worker_id = copies[0][0]
        jobs = [job for holder, job in copies if holder == worker_id]
        noted = chosen.run(self.broker.record_begun, worker_id, jobs)
        if worker_id in {worker.id for worker in self.workers if worker.is_alive}:
            standing = [job.id for job in jobs if stands(self._books(chosen).entries[job.id], worker_id, job)]
            assert noted == self._books(chosen).record_begun(worker_id, standing)
        else:
            assert noted == set()

    @precondition(_is_closed)
    @rule(session=sessions, worker=workers)
    def beat(self, session: int, worker: int) -> None:
        """A worker that finds that it was presumed dead drops what it holds, and starts over under another id."""
        chosen, beating = self._session(session), self.workers[worker]
        assert chosen.run(beating.registry.beat, LOAD, idle=False) == beating.is_alive
        if not beating.is_alive:
            recorder = Recorder(self.broker, beating.registry)
            chosen.run(recorder.start_over)
            beating.is_alive = True
        beating.is_silent = False

    # transactions

    @precondition(_is_closed)
    @rule(session=sessions)
    def begin(self, session: int) -> None:
        self.in_transaction = self.sessions[session]
        self.in_transaction.begin()

    @precondition(lambda self: self.in_transaction is not None)
    @rule(commit=st.booleans())
    def end(self, commit: bool) -> None:
        assert self.in_transaction is not None
        self.in_transaction.end(commit=commit)
        if commit:
            self.committed.update(self.pending)
        self.pending, self.in_transaction = {}, None

    # what everybody else sees

    @invariant()
    def the_tables_are_as_they_should_be(self) -> None:
        expected = [entry for entry in self.committed.values() if entry is not None]
        assert rows(Job) == {entry.id: as_row(entry) for entry in expected if not entry.is_final}
        assert rows(Result) == {entry.id: as_row(entry) for entry in expected if entry.is_final}

    @invariant()
    def what_is_asked_is_answered(self) -> None:
        everything = [entry for entry in self.committed.values() if entry is not None]
        ready = {entry.queue for entry in everything if entry.status == "READY"}
        assert sorted(self.broker.ready_queues()) == sorted(ready)
        scheduled = [entry.moment for entry in everything if entry.status == "SCHEDULED"]
        due = self.broker.next_due()
        assert (due is None) == (not scheduled)
        if scheduled:
            assert abs(due - (min(scheduled) - timezone.now()).total_seconds()) < LIMIT
        for worker in self.workers:
            held = {entry.id for entry in everything if entry.is_held_by(worker.id)}
            assert {job.id for job in self.broker.held_by(worker.id)} == held
            marked = {entry.id for entry in everything if entry.id in held and entry.mark is not None}
            assert self.broker.find_cancelled(worker.id, held) == marked


def is_of(entry: Entry, worker: str, attempt: int) -> bool:
    return (entry.worker, entry.attempt) == (worker, attempt)


def stands(entry: Entry | None, worker: str, job: ClaimedJob) -> bool:
    """Return whether this claim of a job is the last one, and goes on."""
    return entry is not None and entry.status == "RUNNING" and is_of(entry, worker, job.attempt)


def picked(items: Sequence[Any], wanted: set[int]) -> list[Any]:
    """Return some of these, each once."""
    return [items[number] for number in sorted({number % len(items) for number in wanted})] if items else []


@pytest.fixture
def machine(transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Verbs]]:
    # Nor has anybody a second to wait for those who are silent.
    monkeypatch.setattr(rescuing, "CERTAIN", 0.0)
    # Nobody beats here: for dead is taken who falls silent for an hour, not who takes long.
    settings.TASKS = {"default": settings.TASKS["default"] | {"OPTIONS": {"rescue_after": 900}}}
    Verbs.broker = get_broker("default")
    Verbs.sessions = [Session(Verbs.broker) for _ in range(SESSIONS)]
    yield Verbs
    for session in Verbs.sessions:
        session.close()


# To make a failing sequence short may take five minutes.
@pytest.mark.timeout(420 + 10 * EXAMPLES)
def test_a_broker_does_what_plain_python_does(machine: type[Verbs]) -> None:
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=is_required(),
        print_blob=True,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=chosen)
