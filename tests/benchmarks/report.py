"""Medians, spread and ratios of samples, as JSON and as Markdown."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from .peers import OURS, PEERS
from .samples import Sample
from .scenarios import Scenario
from .scenarios.base import Column
from .scenarios.floors import FLOOR

__all__ = ["Results", "Row", "rows"]

NOTHING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One peer in one scenario, over all rounds; None if nothing was measured.

    slower: how many times better ours is, the median of the rounds; cpu_times: how many times its CPU this one takes.
    floor: the share of the floor; where less is better, how much is above it, in the unit of the scenario.
    """

    peer: str
    rounds: int
    figure: float | None
    least: float | None
    most: float | None
    effective: float | None
    cpu: float | None
    parts: dict[str, float]
    slower: float | None
    cpu_times: float | None
    floor: float | None
    details: dict[str, float]
    errors: list[str]

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def rows(scenario: Scenario, samples: Sequence[Sample]) -> list[Row]:
    """Return a row for each peer, ours first, then from the best to the worst, then the floors."""
    names = list(dict.fromkeys(sample.peer for sample in samples))
    found = [_row(scenario, name, samples) for name in names]
    return sorted(found, key=lambda row: _rank(row, higher_is_better=scenario.higher_is_better))


def _rank(row: Row, *, higher_is_better: bool) -> tuple[bool, bool, bool, float]:
    figure = row.effective or 0.0
    return (
        row.peer.startswith(FLOOR),
        row.peer != OURS,
        row.effective is None,
        -figure if higher_is_better else figure,
    )


def _row(scenario: Scenario, name: str, samples: Sequence[Sample]) -> Row:
    own = [sample for sample in samples if sample.peer == name]
    good = [sample for sample in own if not sample.error]
    figures = [sample.figure for sample in good]
    parts = dict.fromkeys(part for sample in good for part in sample.cpu)
    keys = dict.fromkeys(key for sample in good for key, value in sample.details.items() if _is_number(value))
    ratio = _times_better if scenario.higher_is_better else _times_more
    return Row(
        peer=name,
        rounds=len(good),
        figure=_median(figures),
        least=min(figures, default=None),
        most=max(figures, default=None),
        effective=_median(sample.effective for sample in good),
        cpu=_median(sample.total_cpu for sample in good if sample.cpu),
        parts={part: _median(sample.cpu.get(part, 0.0) for sample in good) or 0.0 for part in parts},
        slower=_compared(good, samples, lambda ours, theirs: ratio(ours.effective, theirs.effective)),
        cpu_times=_compared(good, samples, lambda ours, theirs: _times_more(ours.total_cpu, theirs.total_cpu)),
        floor=None if name.startswith(FLOOR) else _above_floor(scenario, good, samples),
        details={key: _median(sample.details.get(key, math.nan) for sample in good) or 0.0 for key in keys},
        errors=list(dict.fromkeys(sample.error for sample in own if sample.error)),
    )


def _compared(
    theirs: Iterable[Sample], samples: Iterable[Sample], ratio: Callable[[Sample, Sample], float]
) -> float | None:
    """Return the median of what each round's pair gives: ours, and theirs."""
    ours = {sample.round: sample for sample in samples if sample.peer == OURS and not sample.error}
    return _median(ratio(ours[sample.round], sample) for sample in theirs if sample.round in ours)


def _times_better(ours: float, theirs: float) -> float:
    return ours / theirs if theirs else math.nan


def _times_more(ours: float, theirs: float) -> float:
    return theirs / ours if ours else math.nan


def _above_floor(scenario: Scenario, own: Sequence[Sample], samples: Sequence[Sample]) -> float | None:
    floors: dict[int, list[float]] = {}
    for sample in samples:
        if sample.peer.startswith(FLOOR) and not sample.error:
            floors.setdefault(sample.round, []).append(sample.effective)
    pairs = [(sample.effective, floors[sample.round]) for sample in own if sample.round in floors]
    if scenario.higher_is_better:
        return _median(figure / max(best) for figure, best in pairs)
    return _median(figure - min(best) for figure, best in pairs)


def _median(values: Iterable[float]) -> float | None:
    """Return the median without what is not a number; None of nothing."""
    numbers = [value for value in values if not math.isnan(value)]
    return median(numbers) if numbers else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


class Results:
    """All samples of a run, and the files that tell of them; written after each scenario, so that none is lost."""

    def __init__(self, folder: Path, surroundings: dict[str, Any], options: dict[str, Any]) -> None:
        self.folder = folder
        self.surroundings = surroundings
        self.options = options
        self._samples: dict[str, tuple[Scenario, list[Sample]]] = {}

    def add(self, scenario: Scenario, samples: Sequence[Sample]) -> None:
        self._samples[scenario.name] = scenario, list(samples)
        self._write(f"{scenario.name}.json", self._scenario(scenario.name))
        everything = {name: self._scenario(name) for name in self._samples}
        self._write("results.json", {**self.surroundings, "options": self.options, "scenarios": everything})
        (self.folder / "results.md").write_text(self.markdown())

    @property
    def errors(self) -> list[str]:
        return [sample.error for _, samples in self._samples.values() for sample in samples if sample.error]

    def markdown(self) -> str:
        return "\n".join([*_head(self.surroundings, self.options), *self._sections()])

    def _sections(self) -> Iterable[str]:
        for scenario, samples in self._samples.values():
            yield from section(scenario, rows(scenario, samples))

    def _scenario(self, name: str) -> dict[str, Any]:
        scenario, samples = self._samples[name]
        return {
            "title": scenario.title,
            "unit": scenario.unit,
            "summary": [row.as_json() for row in rows(scenario, samples)],
            "samples": [sample.as_json() for sample in samples],
        }

    def _write(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(_finite(value), indent=1, allow_nan=False) + "\n")


def _finite(value: Any) -> Any:
    """Return the value with null for what is not a number: JSON has no such thing."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# Markdown.


def _head(surroundings: dict[str, Any], options: dict[str, Any]) -> list[str]:
    machine = ", ".join(f"{name} {value}" for name, value in surroundings["machine"].items())
    lines = [
        "# Benchmarks",
        "",
        f"{surroundings['date']}, commit {surroundings['commit']}, {surroundings['python']}; {machine}.",
        f"Calibration loop: {surroundings['calibration']:.3f} s of CPU. Rounds: {options['rounds']}, interleaved.",
        "",
        f"Versions: {', '.join(f'{name} {found}' for name, found in surroundings['versions'].items())}.",
    ]
    for vendor, facts in surroundings["servers"].items():
        lines += ["", f"{vendor}: {', '.join(f'{name} = {value}' for name, value in facts.items())}."]
    return [
        *lines,
        "",
        "Figures are medians over the rounds, with the least and the greatest. *Without freezes*: less the time in",
        "which the whole machine stood still. CPU: milliseconds of everything involved for each 1,000 jobs. *Times",
        "slower* and *times the CPU*: compared with django_tasks_q in the same round, the median of the rounds.",
    ]


def section(scenario: Scenario, rows: Sequence[Row]) -> list[str]:
    """Return the lines about one scenario."""
    columns = [(heading, cell) for heading, cell in _columns(scenario) if any(cell(row) != NOTHING for row in rows)]
    table = [
        _line(heading for heading, _ in columns),
        _line("---:" if heading else "---" for heading, _ in columns),
        *(_line(cell(row) for _, cell in columns) for row in rows),
    ]
    failed = [f"- {row.peer}: {' / '.join(map(_last_line, row.errors))}" for row in rows if row.errors]
    notes = ["", "Failed:", "", *failed] if failed else []
    return ["", f"## {scenario.name}", "", f"{scenario.title}.", "", *table, *notes]


def _columns(scenario: Scenario) -> Iterator[tuple[str, Callable[[Row], str]]]:
    """Yield the heading of each column, and what stands in it; those that are empty for all peers are left out."""
    higher = scenario.higher_is_better
    yield "", lambda row: _label(row.peer)
    yield scenario.unit, _figure
    if scenario.is_timed:
        yield "without freezes", lambda row: _number(row.effective)
    yield "times slower" if higher else "times as much", lambda row: _format(row.slower, "{:.2f}")
    yield (
        "share of the floor" if higher else f"above the floor, {scenario.unit}",
        lambda row: _format(row.floor, "{:.0%}" if higher else "{:,.2f}"),
    )
    for column in scenario.columns:
        yield column.heading, partial(_detail, column)
    yield "CPU", lambda row: _number(row.cpu)
    yield "times the CPU", lambda row: _format(row.cpu_times, "{:.2f}")
    yield "CPU of", lambda row: ", ".join(f"{part} {_number(value)}" for part, value in row.parts.items()) or NOTHING


def _figure(row: Row) -> str:
    spread = f" ({_number(row.least)} to {_number(row.most)})" if row.rounds > 1 else ""
    return _number(row.figure) + spread


def _detail(column: Column, row: Row) -> str:
    return _format(row.details.get(column.key), column.form)


def _label(name: str) -> str:
    if name not in PEERS:
        return name
    peer = PEERS[name]
    return f"{peer.label} (results: {peer.keeps})"


def _number(value: float | None) -> str:
    """Return a number with as many digits as say something."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _format(value: float | None, form: str) -> str:
    return NOTHING if value is None else form.format(value)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1]
