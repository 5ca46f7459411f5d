import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .. import servers
from ..needs import require
from . import databases, marks
from .clock import SECOND, Freezes
from .peers import OURS, PEERS
from .processes import TOP
from .quantiles import percentile
from .report import Results, rows, section
from .samples import Reading, Sample, Span
from .scenarios import SCENARIOS
from .scenarios.base import rotated
from .scenarios.floors import FLOOR
from .scenarios.snapshot import latencies, shares

DRAIN, LATENCY = SCENARIOS["drain"], SCENARIOS["latency"]
SURROUNDINGS = {
    "date": "2026-11-21",
    "commit": "0123456",
    "python": "CPython 3.13.0",
    "machine": {"cores": 2},
    "calibration": 0.25,
    "versions": {"Django": "6.1"},
    "servers": {"postgresql": {"fsync": "on"}},
}


def sample(peer: str, number: int, figure: float, **given: object) -> Sample:
    return Sample(peer, round=number, figure=figure / 2, effective=figure, jobs=100, **given)  # type: ignore[arg-type]


def test_marks_are_moments_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "marks"
    monkeypatch.setenv(marks.VARIABLE, str(path))
    monkeypatch.setattr(marks, "_open", None)
    assert marks.count(path) == 0
    assert marks.read(path) == []
    for _ in range(3):
        marks.mark()
    assert marks.count(path) == 3
    assert marks.read(path) == sorted(marks.read(path))
    assert marks.read_from(path, 2) == marks.read(path)[2:]


def test_gaps_between_ticks_are_freezes() -> None:
    freezes = Freezes(now=0)
    for moment in (10_000_000, 20_000_000, 2 * SECOND, 2 * SECOND + 5_000_000):
        freezes.tick(moment)
    assert freezes.frozen(0, 3 * SECOND) == pytest.approx(1.975)
    assert freezes.frozen(SECOND, 3 * SECOND) == pytest.approx(1.0)
    assert freezes.frozen(2 * SECOND, 3 * SECOND) == 0


def test_machine_that_runs_is_not_frozen() -> None:
    freezes = Freezes(now=0)
    for moment in range(0, SECOND, 5_000_000):
        freezes.tick(moment)
    assert freezes.frozen(0, SECOND) == 0


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 50), (95, 95), (99, 99), (100, 100)])
def test_percentile_is_one_of_the_values(percent: float, expected: float) -> None:
    assert percentile(range(100, 0, -1), percent) == expected


def test_a_span_takes_freezes_and_cpu_apart() -> None:
    before, after = Reading(0, {"worker": 1.0, "postgresql": 2.0}), Reading(9, {"worker": 2.0, "postgresql": 2.5})
    span = Span.between(before, after, began=0, ended=4 * SECOND, frozen=2.0)
    found = Sample.rate("peer", 1_000, span)
    assert (found.figure, found.effective) == (250, 500)
    assert found.cpu == {"worker": 1_000, "postgresql": 500}
    assert found.total_cpu == 1_500


def test_each_round_begins_with_another_peer() -> None:
    assert [rotated("abc", number) for number in range(4)] == [[*"abc"], [*"bca"], [*"cab"], [*"abc"]]
    assert rotated([], 3) == []


def test_slices_and_latencies_of_offered_jobs() -> None:
    batches = [(0, 2), (SECOND, 2), (2 * SECOND, 2)]
    runs = [100, SECOND // 2, SECOND + SECOND // 2, 2 * SECOND]
    assert shares(batches, runs, 1) == [1.0, 0.5]
    assert latencies(batches, runs, missing=4 * SECOND)[-3:] == [1_000, 2_000, 2_000]


def test_peers_are_compared_within_a_round() -> None:
    samples = [
        sample(OURS, 1, 1_000, cpu={"worker": 100.0}),
        sample("huey", 1, 100, cpu={"worker": 400.0}),
        sample(f"{FLOOR}claim", 1, 2_000),
        sample("huey", 2, 10),
        sample(OURS, 2, 20),
        sample(f"{FLOOR}claim", 2, 80),
        sample("huey", 3, 50),
        Sample(OURS, round=3, error="It fell over."),
    ]
    ours, huey, floor = rows(DRAIN, samples)
    assert (ours.effective, ours.least, ours.most, ours.slower) == (510, 10, 500, 1)
    assert (huey.slower, huey.cpu_times) == (6, 4)
    assert ours.floor == pytest.approx((0.5 + 0.25) / 2)
    assert (floor.peer, floor.floor) == (f"{FLOOR}claim", None)
    assert ours.errors == ["It fell over."]


def test_what_should_be_small_is_compared_the_other_way_round() -> None:
    samples = [sample(OURS, 1, 4), sample("huey", 1, 12), sample(f"{FLOOR}listen_notify", 1, 1)]
    ours, huey, _ = rows(LATENCY, samples)
    assert (huey.slower, ours.floor) == (3, 3)


def test_section_is_a_table() -> None:
    samples = [sample(OURS, 1, 10_000, cpu={"worker": 1.5}), Sample("huey", round=1, error="Traceback\nIt fell over.")]
    lines = section(DRAIN, rows(DRAIN, samples))
    assert lines[1] == "## drain"
    assert lines[5] == "|  | jobs/s | without freezes | times slower | CPU | times the CPU | CPU of |"
    assert lines[7].endswith("| 5,000 | 10,000 | 1.00 | 1.5 | 1.00 | worker 1.5 |")
    assert lines[-1] == "- huey: It fell over."


def test_results_are_written_as_json_and_markdown(tmp_path: Path) -> None:
    results = Results(tmp_path, SURROUNDINGS, {"rounds": 1})
    results.add(DRAIN, [sample(OURS, 1, 10), Sample("huey", round=1, error="It fell over.")])
    whole = json.loads((tmp_path / "results.json").read_text())
    assert whole["scenarios"]["drain"] == json.loads((tmp_path / "drain.json").read_text())
    assert whole["scenarios"]["drain"]["samples"][1]["figure"] is None
    assert "fsync = on" in (tmp_path / "results.md").read_text()
    assert results.errors == ["It fell over."]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://user@127.0.0.1:5432/postgres", "postgresql://user@127.0.0.1:5432/bench"),
        ("postgresql://user@/postgres?host=/run", "postgresql://user@/bench?host=/run"),
        ("mysql://root@127.0.0.1:3306", "mysql://root@127.0.0.1:3306/bench"),
    ],
)
def test_database_beside_another(url: str, expected: str) -> None:
    assert databases.named(url, "bench") == expected
    assert databases.settings(expected)["NAME"] == "bench"


def test_sqlite_database_is_a_file_in_the_folder(tmp_path: Path) -> None:
    url = databases.named(f"sqlite://{tmp_path}", "bench")
    assert databases.settings(url)["NAME"] == str(tmp_path / "bench.sqlite3")


def test_ours_is_the_first_of_the_peers() -> None:
    assert next(iter(PEERS)) == OURS
    assert PEERS[OURS].is_installed()


@pytest.mark.project
@pytest.mark.parametrize("scenario", ["drain", "drain_10kb", "drain_100kb"])
def test_command_measures_a_drain(tmp_path: Path, scenario: str) -> None:
    """The whole of it, small, on the database of this session, whose server it finds in the environment."""
    database = os.environ["TEST_DATABASE"]
    require(servers.DATABASES[database])
    command = ["tests.benchmarks", scenario, "--quick", "--no-floor", "--peers", OURS, "--database", database]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--output", str(tmp_path)],
        cwd=TOP,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads((tmp_path / f"{scenario}.json").read_text())["samples"]
    assert (found["peer"], found["jobs"], found["error"]) == (OURS, 200, "")
    assert found["figure"] > 0
    assert "ran_again" not in found["details"]
