"""The checker, fed with histories that are wrong in each way."""

import json
from pathlib import Path
from typing import Any

import pytest

from .checker import check, overlooks
from .excuses import Ended
from .history import COMMITTED, ROLLED_BACK, UNKNOWN, Call, History, Record, Run, Swarm, Tally, read_calls

KEY = "p0-1"


def call(task: str = "ordinary", fate: str = COMMITTED, **given: Any) -> Call:
    return Call(key=KEY, task=task, fate=fate, **given)


def run(attempt: int = 1, **given: Any) -> Run:
    values = {"key": KEY, "job_id": "1", "attempt": attempt, "run": f"run-{attempt}", "worker": "w0.1"}
    return Run(**{**values, **given})


def record(status: str = "SUCCESSFUL", attempt: int = 1, **given: Any) -> Record:
    values = {
        "key": KEY, "job_id": "1", "task": "ordinary", "status": status, "attempt": attempt, "run": f"run-{attempt}",
        "worker": "w0.1-0a1b2c3d",
    }  # fmt: skip
    return Record(**{**values, **given})


def history(call: Call | None, runs: list[Run], records: list[Record], **given: Any) -> History:
    return History(calls={call.key: call} if call else {}, runs=runs, records=records, **given)


def kinds(found: History) -> set[str]:
    return {violation.kind for violation in check(found)}


def swarm(rest: str = "SUCCESSFUL", marks: tuple[str, ...] = ("s",), **counts: int) -> History:
    """A swarm of ten, of which so many rows have each status; LIVE_ before one says that the row is a job."""
    tallies = [
        Tally(name="s", status=name.removeprefix("LIVE_"), live="LIVE_" in name, adds_up=True, count=count)
        for name, count in counts.items()
    ]
    meant = Swarm(name="s", task="swarm", count=10, rest=rest)
    return History(swarms=[meant], tallies=tallies, marks=set(marks))


DOOMED: dict[str, Any] = {"run": "", "failures": 1, "error": "tests.chaos.tasks.Doomed"}
GOOD = {
    "done": history(call(), [run()], [record()]),
    "done after a loss": history(call(), [run(1), run(2)], [record(attempt=2, losses=1)]),
    "lost before its effect": history(call(), [run(2)], [record(attempt=2, losses=1)]),
    "failed first": history(call("flaky"), [run(1), run(2)], [record(attempt=2, failures=1)]),
    "atomic after a loss": history(call("atomic"), [run(2)], [record(attempt=2, losses=1)]),
    "doomed": history(call("doomed"), [run()], [record("FAILED", **DOOMED)]),
    "doomed and atomic": history(call("doomed_atomic"), [], [record("FAILED", **DOOMED)]),
    "rolled back": history(call(fate=ROLLED_BACK), [], []),
    "unknown and gone": history(call(fate=UNKNOWN), [], []),
    "unknown and done": history(call(fate=UNKNOWN), [run()], [record()]),
    "unknown, but marked": history(call(fate=UNKNOWN, marked=True, batch="b"), [run()], [record()], marks={"b"}),
    "unknown, and no mark": history(call(fate=UNKNOWN, marked=True, batch="b"), [], []),
    "not charged, as its worker was stopped": history(
        call(), [run(1, at=10.0), run(1, run="other", at=20.0)], [record()], uncounted=[15.0]
    ),
    "not charged, as its worker was killed": history(
        call(), [run(1, at=10.0), run(1, run="other", at=20.0)], [record(run="other")], ended=[Ended("w0.1", 10.1)]
    ),
    "not charged, as its child was killed": history(
        call(),
        [run(1, at=10.0, pid=7), run(1, run="other", at=20.0, pid=8)],
        [record(run="other")],
        ended=[Ended("w0.1", 10.1, pid=7)],
    ),
    "raised before its effect": history(call("raises"), [], [record("FAILED", **DOOMED)]),
    "cancelled while it ran": history(call("held"), [run()], [record("CANCELLED", run="")], cancelled={KEY}),
    "cancelled before it ran": history(call("held"), [], [record("CANCELLED", 0, run="")], cancelled={KEY}),
    "a swarm": swarm(SUCCESSFUL=10),
    "a swarm that fails": swarm("FAILED", FAILED=10),
    "a swarm for nobody": swarm("READY", LIVE_READY=10),
    "a swarm that was rolled back": swarm(marks=()),
    "chain": history(
        call("chain"),
        [run(), run(key=f"{KEY}+", run="next")],
        [record(), record(key=f"{KEY}+", job_id="2", run="next")],
    ),
}
WRONG = {
    "nobody enqueued it": ({"enqueued"}, history(None, [run()], [record()])),
    "nobody enqueued it, and it has not run": ({"enqueued", "unfinished"}, history(None, [], [record(live=True)])),
    "lost": ({"lost"}, history(call(), [], [])),
    "lost after it ran": ({"lost"}, history(call(), [run()], [])),
    "lost, and nobody knew": ({"lost"}, history(call(fate=UNKNOWN), [run()], [])),
    "lost, though marked": ({"lost"}, history(call(fate=UNKNOWN, marked=True, batch="b"), [], [], marks={"b"})),
    "still running": ({"unfinished"}, history(call(), [run()], [record("RUNNING", live=True)])),
    "in both tables": (
        {"recorded once", "unfinished"},
        history(call(), [run()], [record(), record("READY", live=True)]),
    ),
    "stored twice": ({"recorded once"}, history(call(), [run()], [record(), record(job_id="2")])),
    "not rolled back": ({"rolled back"}, history(call(fate=ROLLED_BACK), [run()], [record()])),
    "effect of what was rolled back": ({"rolled back"}, history(call(fate=ROLLED_BACK), [run()], [])),
    "no mark, and still there": (
        {"rolled back"},
        history(call(fate=UNKNOWN, marked=True, batch="b"), [run()], [record()]),
    ),
    "failed without reason": (
        {"ended as meant"},
        history(call(), [run()], [record("FAILED", run="", failures=1, error="builtins.OSError")]),
    ),
    "given up for its losses": (
        {"ended as meant"},
        history(call(), [run()], [record("FAILED", run="", losses=1, error="django_tasks_q.exceptions.JobLost")]),
    ),
    "doomed, and successful": ({"ended as meant"}, history(call("doomed"), [run()], [record()])),
    "successful without an effect": (
        {"effects", "recorded by its own run"},
        history(call(), [], [record()]),
    ),
    "atomic, twice": (
        {"effects"},
        history(call("atomic"), [run(1), run(2)], [record(attempt=2, losses=1)]),
    ),
    "atomic and failed, with an effect": (
        {"effects"},
        history(call("doomed_atomic"), [run()], [record("FAILED", **DOOMED)]),
    ),
    "ended by a run that had lost it": (
        {"recorded by its own run"},
        history(call(), [run(1), run(2)], [record(attempt=2, losses=1, run="run-1")]),
    ),
    "ended by another worker's run": (
        {"recorded by its own run"},
        history(call(), [run(worker="w1.1")], [record()]),
    ),
    "more runs than are charged": (
        {"counted"},
        history(call(), [run(1, at=10.0), run(1, run="other", at=20.0)], [record()], uncounted=[99.0]),
    ),
    "more runs than are charged, and another worker was killed": (
        {"counted"},
        history(call(), [run(1, at=10.0), run(1, run="other", at=20.0)], [record()], ended=[Ended("w0.2", 10.1)]),
    ),
    "more runs than are charged, and another child was killed": (
        {"counted"},
        history(
            call(),
            [run(1, at=10.0, pid=7), run(1, run="other", at=20.0, pid=8)],
            [record()],
            ended=[Ended("w0.1", 10.1, pid=9)],
        ),
    ),
    "more runs than are charged, long before its worker was killed": (
        {"counted"},
        history(call(), [run(1, at=10.0), run(1, run="other", at=20.0)], [record()], ended=[Ended("w0.1", 99.0)]),
    ),
    "cancelled by nobody": ({"ended as meant"}, history(call("held"), [run()], [record("CANCELLED", run="")])),
    "cancelled, but not to be": (
        {"ended as meant"},
        history(call(), [run()], [record("CANCELLED", run="")], cancelled={KEY}),
    ),
    "a text that was changed": ({"intact"}, history(call("payload"), [run()], [record(is_damaged=True)])),
    "a swarm of which one is lost": ({"lost"}, swarm(SUCCESSFUL=9)),
    "a swarm with one too many": ({"recorded once"}, swarm(SUCCESSFUL=11)),
    "a swarm of which one still waits": ({"unfinished"}, swarm(SUCCESSFUL=9, LIVE_READY=1)),
    "a swarm of which one has failed": ({"ended as meant"}, swarm(SUCCESSFUL=9, FAILED=1)),
    "a swarm for nobody that somebody has run": ({"ended as meant"}, swarm("READY", LIVE_READY=9, SUCCESSFUL=1)),
    "a swarm that was not rolled back": ({"rolled back"}, swarm(marks=(), SUCCESSFUL=10)),
    "a swarm that nobody has made": (
        {"enqueued"},
        History(tallies=[Tally(name="s", status="FAILED", live=False, adds_up=True, count=1)]),
    ),
    "a swarm whose attempts do not add up": (
        {"counted"},
        History(
            swarms=[Swarm(name="s", task="swarm", count=1, rest="SUCCESSFUL")],
            tallies=[Tally(name="s", status="SUCCESSFUL", live=False, adds_up=False, count=1)],
            marks={"s"},
        ),
    ),
    "an attempt too many": ({"counted"}, history(call(), [run(2)], [record(attempt=2)])),
    "a loss too many": ({"counted"}, history(call(), [run()], [record(losses=1)])),
    "one run, two effects": (
        {"counted"},
        history(call(), [run(2), run(2)], [record(attempt=2, losses=1)]),
    ),
    "chain without its next": ({"lost"}, history(call("chain"), [run()], [record()])),
    "next of a chain that has failed": (
        {"ended as meant", "rolled back"},
        history(
            call("chain"),
            [run(key=f"{KEY}+", run="next")],
            [record("FAILED", run="", failures=1, error="E"), record(key=f"{KEY}+", job_id="2", run="next")],
        ),
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_wrong_with(name: str) -> None:
    assert check(GOOD[name]) == []


@pytest.mark.parametrize("name", WRONG)
def test_is_found(name: str) -> None:
    expected, found = WRONG[name]
    assert kinds(found) == expected


def test_checker_is_tried_on_the_history_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    found = GOOD["done after a loss"]
    assert overlooks(found) == []
    monkeypatch.delitem(check.__globals__["PROMISES"], "lost")
    assert overlooks(found) == ["lost"]


def test_journal_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    lines: list[dict[str, Any]] = [
        {"at": 1.0, "batch": "a", "marked": True, "calls": [{"key": "k1", "task": "atomic", "kept": True}]},
        {"at": 2.0, "batch": "a", "outcome": COMMITTED},
        {"at": 3.0, "batch": "b", "marked": False, "calls": [{"key": "k2", "task": "late", "kept": True}]},
        {"at": 4.0, "batch": "b", "error": "OperationalError"},
        {"at": 5.0, "batch": "c", "marked": True, "calls": [{"key": "k3", "task": "late", "kept": False}]},
        {"at": 6.0, "batch": "c", "outcome": COMMITTED},
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = read_calls([path])
    assert {key: call.fate for key, call in found.items()} == {"k1": COMMITTED, "k2": UNKNOWN, "k3": ROLLED_BACK}
    assert found["k1"].batch == "a"
