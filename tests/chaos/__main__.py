"""`python -m tests.chaos [SCENARIO]`: see CONTRIBUTING.md."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from .checker import Violation, check, overlooks
from .errors import ChaosError
from .failover import Failover
from .faults import FAULTS, NONE
from .kinds import LOADS
from .partition import Partition
from .parts import run_parts
from .report import figures, near, show, story
from .run import Chaos, Outcome, Plan

__all__ = ["main"]

DATABASES = ["postgresql", "mysql", "sqlite"]
SCENARIOS: dict[str, type[Chaos]] = {"run": Chaos, "failover": Failover, "partition": Partition, "mutant": Chaos}
# What each scenario does otherwise than the long run.
PLANS = {
    "run": Plan(loads=LOADS, slow=0.03),
    "failover": Plan(seconds=60.0, jobs=2_000),
    "partition": Plan(seconds=60.0, jobs=2_000, every=2.0),
    # Long jobs, and workers that are away for long: without the fence two of them will end the same job.
    "mutant": Plan(
        seconds=30.0, jobs=200, workers=6, slow=0.9, every=0.7, faults=("stop-worker",), mutation="drop_fence"
    ),
}
# Each at most a minute; two at a time, because most of it is waiting. Without the mutant: whether it is found is left
# to chance, and the properties of tests/brokers find it always. Without other programs on all cores: CI has its own.
MIXED = f"--loads={','.join(name for name in LOADS if name != 'busy')}"
QUICK = [
    [["run", "--seconds=20", "--jobs=500", MIXED]],
    [["failover", "--seconds=6", "--jobs=300"], ["partition", "--seconds=15", "--jobs=500"]],
    [[f"--database={name}", "--seconds=12", "--jobs=250", MIXED] for name in ("mysql", "sqlite")],
]
# What happens to a worker that nobody has done to it, and is a failure of the run.
UNEXPECTED = {"ended by itself", "does not end", "left behind"}
LONGEST_SEED = 10**6


def parser() -> ArgumentParser:
    parser = ArgumentParser("python -m tests.chaos", description="Break everything, and prove that nothing was lost.")
    parser.add_argument(
        "scenario", nargs="?", default="run", choices=[*SCENARIOS, "quick"],
        help="run (the default); failover to a standby; partition of hosts; mutant: is a missing fence found?; "
        "quick: all but that, in two minutes.",
    )  # fmt: skip
    parser.add_argument("--database", choices=DATABASES, help="For run, mutant and partition (default: postgresql).")
    parser.add_argument("--seconds", type=float, help="For which it strikes (default: 180, other scenarios less).")
    parser.add_argument("--jobs", type=int, help="As many as are meant in that time (default: 33 a second).")
    parser.add_argument("--workers", type=int, help="With two children each (default: 4).")
    parser.add_argument("--producers", type=int, help="(default: 2)")
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="Between two strikes, on average (default: 1.5)."
    )
    parser.add_argument("--slow", type=float, metavar="SHARE", help="Of jobs that take 1 to 2.5 s (default: 0.03).")
    parser.add_argument("--seed", type=int, help="What is struck when, and what is enqueued (default: random).")
    parser.add_argument("--faults", type=_faults, metavar="A,B", help=f"Only these of {', '.join(FAULTS)}, or {NONE}.")
    parser.add_argument(
        "--loads",
        type=_loads,
        metavar="A,B",
        help=f"Only these of {', '.join(LOADS)}, or {NONE} (default: all in run).",
    )
    parser.add_argument("--hunts", type=int, default=4, help="Runs of a mutant until it must be found (default: 4).")
    parser.add_argument("--output", type=Path, default=Path("build/chaos"), help="A folder (%(default)s).")
    return parser


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    # As Ctrl-C does: servers and workers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if given.scenario == "quick":
        return run_parts(QUICK, given.output)
    return _run_scenario(given)


def _run_scenario(given: Namespace) -> int:
    plan = _plan(given)
    logs = given.output / f"{time.strftime('%Y%m%d-%H%M%S')}-{given.scenario}-{plan.database}-{os.getpid()}"
    logs.mkdir(parents=True, exist_ok=True)
    try:
        outcome = _run(SCENARIOS[given.scenario], plan, logs)
    except ChaosError as error:
        sys.stderr.write(f"{given.scenario} cannot be run: {error}\nSee {logs}.\n")
        return 2
    violations = check(outcome.history)
    show(f"{given.scenario} (logs in {logs})", figures(plan, outcome, violations))
    if plan.mutation:
        return _judge_mutant(violations, given)
    return _judge(given, plan, outcome, violations, logs)


def _run(scenario: type[Chaos], plan: Plan, logs: Path) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="chaos-") as temporary, scenario(plan, logs, Path(temporary)) as chaos:
        return chaos.run()


def _judge(given: Namespace, plan: Plan, outcome: Outcome, violations: list[Violation], logs: Path) -> int:
    unexpected = [f"{event.kind}: {event.what}" for event in outcome.history.events if event.kind in UNEXPECTED]
    blind = [f"the checker would not see that a job was not {kind}" for kind in overlooks(outcome.history)]
    troubles = [f"{trouble}, seed {plan.seed}" for trouble in outcome.troubles]
    if not violations and not unexpected and not blind and not troubles:
        return 0
    lines = [*unexpected, *blind, *troubles, *near(outcome), *story(outcome.history, violations, logs)]
    lines.append(f"\nThe promises were broken. Once more: {_again(given, plan)}\nAll that is known is in {logs}.")
    text = "\n".join(lines)
    (logs / "story.txt").write_text(f"{text}\n")
    sys.stdout.write(f"{text}\n")
    return 1


def _judge_mutant(violations: list[Violation], given: Namespace) -> int:
    for violation in violations[:3]:
        sys.stdout.write(f"found: {violation}\n")
    if violations:
        return 0
    if given.hunts > 1 and given.seed is None:
        # Two workers have to end the same job for it to matter, and chance may have kept them apart.
        sys.stdout.write("The fence was missing, and nothing came of it; once more.\n")
        sys.stdout.flush()
        # In a separate process: this one knows the database of the run before.
        again = [sys.executable, "-m", "tests.chaos", *sys.argv[1:], f"--hunts={given.hunts - 1}"]
        return subprocess.run(again, check=False).returncode
    sys.stdout.write("The fence was missing, and the checker has not found out.\n")
    return 1


def _again(given: Namespace, plan: Plan) -> str:
    names = ("database", "seconds", "jobs", "workers", "producers", "every", "slow", "seed")
    found = asdict(plan)
    options = " ".join(f"--{name}={found[name]}" for name in names)
    faults = f" --faults={','.join(plan.faults)}" if plan.faults else ""
    loads = f" --loads={','.join(plan.loads) or NONE}"
    return f"python -m tests.chaos {given.scenario} {options}{faults}{loads}"


def _plan(given: Namespace) -> Plan:
    names = ("database", "seconds", "jobs", "workers", "producers", "every", "slow", "faults", "loads")
    chosen = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
    plan = PLANS[given.scenario]
    if given.jobs is None and given.seconds is not None:
        chosen["jobs"] = round(plan.jobs * given.seconds / plan.seconds)
    seed = secrets.randbelow(LONGEST_SEED) if given.seed is None else given.seed
    return replace(plan, **chosen, seed=seed)


def _faults(text: str) -> tuple[str, ...]:
    return _names(text, [*FAULTS, NONE])


def _loads(text: str) -> tuple[str, ...]:
    return tuple(name for name in _names(text, [*LOADS, NONE]) if name != NONE)


def _names(text: str, known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    for name in names:
        if name not in known:
            raise ArgumentTypeError(f'there is no "{name}"; known are {", ".join(known)}')
    return names


if __name__ == "__main__":
    sys.exit(main())
