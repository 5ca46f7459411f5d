"""What all scenarios work with: sites, readings of CPU, the clock of freezes, and the sizes of runs."""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import marks
from .clock import Freezes
from .errors import BenchmarkError
from .peers import Peer
from .processes import ProcessGroup, cpu_of_trees, named_processes
from .samples import Reading, Span
from .servers import Server
from .site import Site

__all__ = ["Laboratory", "Options"]

# Process names of the services beside the database.
SERVICES = {"redis": ("redis-server", "valkey-server"), "rabbitmq": ("beam.smp",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """jobs: of each measurement; None lets each peer run as many as it does in span_seconds.

    rows: beside which is drained. seconds: for which jobs are offered beside an old snapshot. samples: latencies.
    floor_seconds: what each measurement of the floor takes; 0 leaves the floor out.
    """

    rounds: int = 5
    jobs: int | None = None
    span_seconds: float = 5.0
    rows: int = 1_000_000
    seconds: float = 180.0
    rate: int = 800
    samples: int = 200
    memory_jobs: int = 10_000
    floor_seconds: float = 3.0


class Laboratory:
    """Keeps sites open, because Django and migrations take seconds, and closes them at the end."""

    def __init__(self, options: Options, servers: dict[str, Server], folder: Path, prefix: str) -> None:
        self.options = options
        self.servers = servers
        self.folder = folder
        # How many jobs a peer runs in a scenario, once that is known.
        self.sizes: dict[tuple[str, str], int] = {}
        self.freezes = Freezes()
        self._prefix = prefix
        self._sites: dict[str, Site] = {}
        self._roots: dict[str, list[int]] = {}
        self._closing = ExitStack()

    def __enter__(self) -> "Laboratory":
        self._closing.enter_context(self.freezes)
        return self

    def __exit__(self, *error: Any) -> None:
        self._closing.close()

    def server(self, vendor: str) -> Server:
        if vendor not in self.servers:
            raise BenchmarkError(f"There is no {vendor} server to measure on. Known: {', '.join(self.servers)}.")
        return self.servers[vendor]

    def site(self, peer: Peer, vendor: str, kind: str = "") -> Site:
        """Return the peer's site on such a database. `kind` makes another one, that stays as it is filled."""
        name = "_".join(filter(None, [self._prefix, peer.name.replace("-", "_"), vendor, kind]))
        if name not in self._sites:
            self._sites[name] = Site(peer, self.server(vendor), name, self.folder)
            self._closing.callback(self.close, name)
        return self._sites[name]

    def close(self, name: str) -> None:
        if site := self._sites.pop(name, None):
            site.close()

    def close_filled(self) -> None:
        """Drop the millions of rows that no further scenario needs."""
        for name in [name for name, site in self._sites.items() if site.filled]:
            self.close(name)

    # Measuring.

    def read(self, site: Site, worker: ProcessGroup | None = None) -> Reading:
        """Return the CPU that everything of a site has used until now."""
        parts = {"producer": [site.driver.pid], site.server.vendor: self._pids_of_database(site.server)}
        if worker:
            parts["worker"] = worker.pids
        for name in sorted(site.peer.services):
            parts[name] = self._pids_of_service(name)
        cpu = {part: cpu_of_trees(pids) for part, pids in parts.items() if pids}
        return Reading(time.monotonic_ns(), cpu)

    def span(self, before: Reading, after: Reading, began: int | None = None, ended: int | None = None) -> Span:
        """Return what lies between; began and ended (ns) where it is known more exactly when."""
        since, until = began or before.at, ended or after.at
        return Span.between(before, after, began=since, ended=until, frozen=self.freezes.frozen(since, until))

    def drained(self, site: Site, worker: ProcessGroup, jobs: int, *, until_stored: bool) -> Span:
        """Return the span from the first run of a job to the end of so many, and of their results."""
        site.wait_for_marks(1, worker)
        before = self.read(site, worker)
        site.wait_for_marks(jobs, worker)
        stores = until_stored and site.driver.ask("stored")["value"] is not None
        if stores:
            site.wait_until_stored(jobs)
        after = self.read(site, worker)
        runs = marks.read(site.marks)
        return self.span(before, after, min(runs), None if stores else sorted(runs)[jobs - 1])

    def _pids_of_database(self, server: Server) -> list[int]:
        if server.vendor not in self._roots:
            self._roots[server.vendor] = server.processes()
        return self._roots[server.vendor]

    def _pids_of_service(self, name: str) -> list[int]:
        if not self._roots.get(name):
            self._roots[name] = named_processes(*SERVICES[name])
        return self._roots[name]
