"""`python -m tests.benchmarks [SCENARIO ...]`: see CONTRIBUTING.md."""

import os
import signal
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from .errors import BenchmarkError
from .laboratory import Laboratory, Options
from .peers import OURS, PEERS, Peer
from .progress import shown
from .report import Results
from .scenarios import SCENARIOS, Scenario
from .servers import Server, server_at
from .surroundings import surroundings

__all__ = ["main"]

POSTGRESQL = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
MYSQL = os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306")
QUICK = Options(rounds=1, jobs=200, rows=10_000, seconds=10, rate=200, samples=20, memory_jobs=200, floor_seconds=0.3)


def parser() -> ArgumentParser:
    parser = ArgumentParser("python -m tests.benchmarks", description="Measure django_tasks_q and its rivals.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="Which to run (default: all; see --list).")
    parser.add_argument("--peers", type=_names, metavar="A,B", help="Only these (default: all that are installed).")
    parser.add_argument("--rounds", type=int, help="How often each peer is measured (default: 5).")
    parser.add_argument("--jobs", type=int, help="Of each measurement (default: what a peer runs in 5 seconds).")
    parser.add_argument("--rows", type=int, help="Beside which is drained (default: 1,000,000).")
    parser.add_argument("--seconds", type=float, help="How long jobs are offered beside a snapshot (default: 180).")
    parser.add_argument("--output", type=Path, default=Path("build/benchmarks"), help="A folder (%(default)s).")
    parser.add_argument("--database", choices=["postgresql", "mysql", "sqlite"], default="postgresql")
    parser.add_argument("--postgresql", default=POSTGRESQL, metavar="URL", help="A server (%(default)s).")
    parser.add_argument("--mysql", default=MYSQL, metavar="URL", help="A server (%(default)s).")
    parser.add_argument("--no-floor", action="store_true", help="Leave out the bare SQL.")
    parser.add_argument("--quick", action="store_true", help="All small: to see whether it works.")
    parser.add_argument("--list", action="store_true", help="Show scenarios and peers, and run nothing.")
    return parser


def main(arguments: list[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    if given.list:
        sys.stdout.write(_listing())
        return 0
    # As Ctrl-C does: workers are stopped and databases dropped on the way out.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        scenarios, peers = _scenarios(given), _peers(given)
        results = _run(given, scenarios, peers)
    except BenchmarkError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{results.markdown()}\n\nWritten to {given.output}/results.md and results.json.\n")
    return 1 if results.errors else 0


def _run(given: Namespace, scenarios: list[Scenario], peers: list[Peer]) -> Results:
    options = _options(given)
    given.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, shown() as progress:
        servers = _servers(given, folder)
        results = Results(given.output, surroundings(peers, servers.values()), asdict(options))
        with Laboratory(options, servers, Path(folder), f"bench_{os.getpid()}") as lab:
            for scenario in scenarios:
                asked = peers if given.peers or not scenario.is_about_us else [PEERS[OURS]]
                results.add(scenario, list(scenario.run(lab, asked, given.database, progress)))
                lab.close_filled()
    return results


def _options(given: Namespace) -> Options:
    options = QUICK if given.quick else Options()
    names = ("rounds", "jobs", "rows", "seconds")
    options = replace(options, **{name: getattr(given, name) for name in names if getattr(given, name) is not None})
    return replace(options, floor_seconds=0.0) if given.no_floor else options


def _servers(given: Namespace, folder: str) -> dict[str, Server]:
    found = map(server_at, (given.postgresql, given.mysql, f"sqlite://{folder}"))
    return {server.vendor: server for server in found}


def _scenarios(given: Namespace) -> list[Scenario]:
    return [SCENARIOS[name] for name in _known("scenario", given.scenarios or SCENARIOS, SCENARIOS)]


def _peers(given: Namespace) -> list[Peer]:
    """Return those that were asked for, which must be installed, or all that are."""
    if not given.peers:
        return [peer for peer in PEERS.values() if peer.is_installed()]
    peers = [PEERS[name] for name in _known("peer", given.peers, PEERS)]
    if absent := [f"{peer.name} needs {', '.join(peer.missing())}" for peer in peers if not peer.is_installed()]:
        raise BenchmarkError(f"Not installed: {'; '.join(absent)}.")
    return peers


def _known(what: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    for name in names:
        if name not in known:
            raise BenchmarkError(f'There is no {what} "{name}". Known: {", ".join(known)}.')
    return list(names)


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _listing() -> str:
    lines = ["Scenarios:", *(f"  {name:15} {scenario.title}" for name, scenario in SCENARIOS.items()), "Peers:"]
    for name, peer in PEERS.items():
        missing = f" (not installed: {', '.join(peer.missing())})" if peer.missing() else ""
        lines.append(f"  {name:22} {peer.label}{missing}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
