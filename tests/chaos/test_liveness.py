"""The judge of the workers' lives, fed with what breaks each rule, and with what excuses it."""

import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from .excuses import ALL, EVERYBODY, Ended, Excuses, Span
from .liveness import GROWTH, SUPERVISOR, Beat, Lost, Memory, Probe, Seen, Stall, Stop, judge
from .meters import Sent, read_meters
from .sights import read_locks, read_monitor

WORKER, NAME = "w1.2-0a1b2c3d", "w1.2"


def beat(age: float, at: float = 100.0) -> Beat:
    return Beat(worker=WORKER, at=at, age=age)


def stop(ended: float | None, until: float = 200.0) -> Stop:
    return Stop(worker=NAME, at=100.0, ended=ended, until=until, allowed=1.5)


def memory(size: int, at: float = 0.0, children: int = 0) -> Memory:
    return Memory(worker=WORKER, pid=7, at=at, size=size, children=children)


def lost(silent: float) -> Lost:
    return Lost(worker=WORKER, beat=100.0 - silent, at=100.0)


def excuse(since: float, until: float, who: str = EVERYBODY, **given: Any) -> Excuses:
    return Excuses(spans=[Span(who, since, until, "why", **given)])


def kinds(seen: Seen, excuses: Excuses | None = None) -> list[str]:
    return [trouble.kind for trouble in judge(seen, excuses or Excuses())]


GROWING = [memory(size=(50 << 20) + number * GROWTH // 20, at=2.0 * number) for number in range(120)]
STUCK = [Beat(worker=WORKER, at=100.0 + number, age=0.3, running=2, finished=7) for number in range(15)]
WRONG: dict[str, tuple[str, Seen]] = {
    "an old heartbeat": ("heartbeat", Seen(beats=[beat(0.3), beat(6.0)])),
    "a worker that ends nothing": ("idle hands", Seen(beats=STUCK)),
    "an end that took long": ("SIGTERM", Seen(stops=[stop(107.0)])),
    "no end at all": ("SIGTERM", Seen(stops=[stop(None)])),
    "a supervisor that is too large": ("memory", Seen(memories=[memory(SUPERVISOR + 1, children=4)])),
    "a child that grows": ("memory of a child", Seen(memories=GROWING)),
    "texts that are sent again and again": (
        "sent",
        Seen(sent=[Sent(worker=NAME, marked=90 << 20, distinct=20 << 20)]),
    ),
    "a healthy worker that is given up": ("taken for dead", Seen(lost=[lost(0.4)])),
    "one that stood still by itself": ("taken for dead", Seen(lost=[lost(16.0)])),
    "a probe that begins late": ("probe", Seen(probes=[Probe(key="p", at=100.0, began=106.0)])),
    "a probe that never begins": ("probe", Seen(probes=[Probe(key="p", at=100.0, began=None)], until=160.0)),
    "a standstill": ("standstill", Seen(stalls=[Stall(at=100.0, until=140.0, jobs=3)])),
}
GOOD = {
    "young heartbeats": Seen(beats=[beat(0.5, at=100.0 + number) for number in range(50)]),
    "a worker with nothing to do": Seen(beats=[replace(beat, running=0) for beat in STUCK]),
    "a worker that goes on": Seen(beats=[replace(beat, finished=number) for number, beat in enumerate(STUCK)]),
    "a quick end": Seen(stops=[stop(105.0)]),
    "a supervisor with many children": Seen(memories=[memory(SUPERVISOR + (60 << 20), children=8)]),
    "a child that has seen a large payload": Seen(memories=[memory(80 << 20, at=2.0 * n) for n in range(120)]),
    "a text that a dead child had": Seen(sent=[Sent(worker=NAME, marked=3 << 20, distinct=2 << 20)]),
    "a probe that begins soon": Seen(probes=[Probe(key="p", at=100.0, began=100.1)]),
}


@pytest.mark.parametrize("name", WRONG)
def test_is_found(name: str) -> None:
    kind, seen = WRONG[name]
    assert kinds(seen) == [kind]


@pytest.mark.parametrize("name", GOOD)
def test_nothing_is_wrong_with(name: str) -> None:
    assert kinds(GOOD[name]) == []


@pytest.mark.parametrize("who", [EVERYBODY, NAME, "w1"])
@pytest.mark.parametrize(
    "name",
    [
        "an old heartbeat",
        "a worker that ends nothing",
        "an end that took long",
        "one that stood still by itself",
        "a standstill",
    ],
)
def test_who_was_kept_from_it_is_excused(name: str, who: str) -> None:
    _, seen = WRONG[name]
    assert kinds(seen, excuse(80.0, 130.0, who)) == []


@pytest.mark.parametrize("who", ["w2", "w1.3", "w11"])
def test_excuse_of_another_does_not_count(who: str) -> None:
    assert kinds(Seen(beats=[beat(6.0)]), excuse(80.0, 130.0, who)) == ["heartbeat"]


def test_only_the_time_of_the_excuse_is_taken_off() -> None:
    seen = Seen(beats=[beat(9.0, at=100.0)])
    assert kinds(seen, excuse(91.0, 94.0)) == ["heartbeat"]
    assert kinds(seen, excuse(91.0, 96.0)) == []
    # Two at the same time are one.
    twice = Excuses(spans=[Span(EVERYBODY, 91.0, 93.0, "a"), Span(NAME, 91.5, 94.0, "b")])
    assert kinds(seen, twice) == ["heartbeat"]


def test_excuse_is_for_what_it_names() -> None:
    seen = Seen(beats=[beat(6.0)], stops=[stop(110.0)])
    assert kinds(seen, excuse(90.0, 120.0, what=frozenset({"stop"}))) == ["heartbeat"]


def test_killed_worker_is_excused_for_good() -> None:
    excuses = Excuses(rescue=14.0)
    excuses.gone(NAME, "killed")
    now = excuses.ended[0].at
    assert excuses.ended == [Ended(NAME, now)]
    seen = Seen(beats=[beat(9.0, at=now + 9.0)], lost=[Lost(worker=WORKER, beat=now - 0.2, at=now + 9.0)])
    assert kinds(seen, excuses) == []
    # The jobs that it held are excused until their rescue, and no longer.
    assert kinds(Seen(probes=[Probe(key="p", at=now, began=now + 14.0)]), excuses) == []
    assert kinds(Seen(probes=[Probe(key="p", at=now, began=now + 20.0)]), excuses) == ["probe"]


def test_undoing_ends_an_excuse() -> None:
    excuses, undone = Excuses(), []
    excuses.until(["w1", "w3"], "cut off", lambda: undone.append(1), 2.0)()
    assert undone == [1]
    assert [span.who for span in excuses.spans] == ["w1", "w3"]
    assert all(2.0 <= span.until - span.since < 3.0 and span.what == ALL for span in excuses.spans)


def monitored(tmp_path: Path, *lines: dict[str, Any]) -> tuple[Seen, Excuses]:
    path = tmp_path / "monitor.jsonl"
    path.write_text("".join(f"{json.dumps({'late': 0.0, 'took': 0.01, **line})}\n" for line in lines))
    seen, excuses = Seen(), Excuses()
    read_monitor(path, seen, excuses)
    return seen, excuses


def test_machine_that_stood_still_is_an_excuse(tmp_path: Path) -> None:
    """Its monitor was late by as much as the heartbeat is old."""
    frozen = {"at": 110.0, "late": 8.0, "workers": [[WORKER, 8.4, 0, 0]]}
    assert kinds(*monitored(tmp_path, {"at": 101.9, "workers": [[WORKER, 0.3, 0, 0]]}, frozen)) == []
    assert kinds(*monitored(tmp_path, {**frozen, "late": 0.0})) == ["heartbeat"]


def test_database_that_answers_late_or_not_at_all_is_an_excuse(tmp_path: Path) -> None:
    late = {"at": 110.0, "took": 7.0, "workers": [[WORKER, 7.2, 0, 0]]}
    assert kinds(*monitored(tmp_path, late)) == []
    away = [{"at": 103.0, "error": "OperationalError"}, {"at": 109.0, "error": "OperationalError"}]
    assert kinds(*monitored(tmp_path, {"at": 100.0, "workers": []}, *away, {**late, "took": 0.01, "at": 109.5})) == []
    # But from then on workers are as bound as ever.
    after = {"at": 125.0, "workers": [[WORKER, 24.0, 0, 0]]}
    assert kinds(*monitored(tmp_path, {"at": 100.0, "workers": []}, *away, after)) == ["heartbeat"]


def test_lock_of_the_whole_database_is_an_excuse(tmp_path: Path) -> None:
    path, excuses = tmp_path / "probes.jsonl", Excuses()
    path.write_text(f"{json.dumps({'at': 100.0, 'batch': 'p', 'outcome': 'committed', 'locked': 5.5})}\n")
    read_locks(path, excuses)
    assert kinds(Seen(beats=[beat(6.0)]), excuses) == []
    assert kinds(Seen(beats=[beat(12.0)]), excuses) == ["heartbeat"]


def test_meters_are_read(tmp_path: Path) -> None:
    (tmp_path / "meter-w0.1").write_bytes(struct.pack("<QQQQ", 10, 2, 6, 3))
    (tmp_path / "meter-w0.2").write_bytes(b"")
    assert list(read_meters(tmp_path)) == [Sent(worker="w0.1", total=10, sends=2, marked=6, distinct=3)]


def test_covered_time_has_no_end_where_the_excuse_has_none() -> None:
    assert excuse(10.0, math.inf).covered("beat", NAME, 0.0, 25.0) == 15.0
