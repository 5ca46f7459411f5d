import re
import time
from pathlib import Path
from typing import Any

from ..laboratory import Laboratory
from ..peers import Peer
from ..samples import Sample, Span
from ..servers import PostgreSQL
from ..site import Site
from .base import Column
from .drain import Draining

__all__ = ["Cost"]

# Jobs at least, so that full load is what is seen; and seconds after which a backend has told its figures.
LEAST_JOBS, TOLD = 2_000, 1.5
COUNTERS = """
SELECT d.xact_commit AS commits, d.xact_rollback AS rollbacks, t.dead AS dead,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS wal
FROM pg_stat_database d,
    (SELECT coalesce(sum(n_tup_upd + n_tup_del), 0)::bigint AS dead FROM pg_stat_user_tables) t
WHERE d.datname = current_database()
"""
STATEMENTS = """
SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Cost(Draining):
    name = "cost"
    title = "What a no-op job costs the database while it is claimed, run and finished, at full load"
    unit = "commits per job"
    higher_is_better = False
    is_timed = False
    vendor = "postgresql"
    columns = (
        Column("statements", "statements per job", "{:.3f}"),
        Column("wal", "WAL, bytes per job", "{:,.0f}"),
        Column("dead", "dead rows per job", "{:.2f}"),
        Column("rollbacks", "rollbacks per job", "{:.3f}"),
    )

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        site = lab.site(peer, vendor)
        jobs = jobs if lab.options.jobs else max(jobs, LEAST_JOBS)
        # What the worker's start and end cost besides is in both.
        _, least = self._drain(lab, site, 1)
        span, most = self._drain(lab, site, 1 + jobs)
        costs = {name: (value - least[name]) / jobs for name, value in most.items()}
        commits = costs.pop("commits")
        return Sample(
            peer.name,
            figure=commits,
            effective=commits,
            jobs=jobs,
            seconds=span.seconds,
            frozen=span.frozen,
            cpu=span.cpu_per_thousand(jobs),
            details=costs,
        )

    def _drain(self, lab: Laboratory, site: Site, jobs: int) -> tuple[Span, dict[str, float]]:
        """Nobody asks the database meanwhile how many are stored: those questions would be counted."""
        site.empty()
        site.enqueue(jobs)
        counters = Counters(site)
        with site.worker() as worker:
            span = lab.drained(site, worker, jobs, until_stored=False)
            time.sleep(TOLD)
        return span, counters.difference()


class Counters:
    """What the server counts for one database. WAL is that of the whole server: let nothing else write to it."""

    def __init__(self, site: Site) -> None:
        assert isinstance(site.server, PostgreSQL)
        self._server, self._url, self._name = site.server, site.url, site.name
        self._log = None if self._extension() else self._logged_to()
        self._set_logging(on=True)
        self._before = self._read()

    def difference(self) -> dict[str, float]:
        """Return what has been counted since; workers have ended, so that they have told everything."""
        time.sleep(TOLD)
        now = self._read()
        self._set_logging(on=False)
        return {name: value - self._before[name] for name, value in now.items()}

    def _read(self) -> dict[str, float]:
        with self._server.connect(self._url) as connection:
            # The columns' names, without a row factory.
            cursor = connection.execute(COUNTERS)
            counts = dict(zip((column.name for column in cursor.description), cursor.fetchone(), strict=True))
            if self._log:
                counts["statements"] = self._count_logged()
            elif self._extension(connection):
                counts["statements"] = connection.execute(STATEMENTS).fetchone()[0]
        return counts

    def _extension(self, connection: Any = None) -> bool:
        """Return whether pg_stat_statements counts here, and make it readable."""
        if connection is None:
            with self._server.connect(self._url) as opened:
                return self._extension(opened)
        libraries: str = connection.execute("SHOW shared_preload_libraries").fetchone()[0]
        if "pg_stat_statements" not in libraries:
            return False
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        return True

    def _logged_to(self) -> Path | None:
        """Return the file that the server logs to, if we can read it and its lines name the database."""
        with self._server.connect(self._url) as connection:
            prefix = connection.execute("SHOW log_line_prefix").fetchone()[0]
        for pid in self._server.processes() if "%d" in prefix else []:
            try:
                path = Path(f"/proc/{pid}/fd/2").readlink()
                with path.open("rb"):
                    return path
            except OSError:  # Not ours to read: then statements are not counted.
                return None
        return None

    def _set_logging(self, *, on: bool) -> None:
        """For the sessions that begin from now on."""
        if self._log:
            with self._server.connect() as connection:
                change = "SET log_statement TO 'all'" if on else "RESET log_statement"
                connection.execute(f'ALTER DATABASE "{self._name}" {change}')

    def _count_logged(self) -> int:
        assert self._log
        line = re.compile(rf"@{re.escape(self._name)}\b.*?LOG: +(statement|execute|fastpath)".encode())
        with self._log.open("rb") as log:
            return sum(line.search(text) is not None for text in log)
