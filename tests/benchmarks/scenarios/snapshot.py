import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import marks
from ..clock import SECOND
from ..errors import BenchmarkError
from ..laboratory import Laboratory
from ..peers import Peer
from ..processes import ProcessGroup
from ..quantiles import percentile
from ..samples import Sample
from ..servers import PostgreSQL
from ..site import Site
from .base import Column, Scenario

__all__ = ["Batch", "Snapshot", "latencies", "shares"]

# Seconds: of a slice, of what counts as the end, and that the last jobs have after the last was offered.
SLICE, END, GRACE = 10, 30, 10

# When so many jobs had been enqueued, in nanoseconds, and how many.
Batch = tuple[int, int]


class Snapshot(Scenario):
    name = "snapshot"
    title = "Jobs offered steadily while another session holds an old snapshot open"
    vendor = "postgresql"
    is_about_us = True
    columns = (
        Column("share", "share of the offered jobs", "{:.1%}"),
        Column("share_at_end", "in the last 30 s", "{:.1%}"),
        Column("least_slice", "in the worst 10 s", "{:.1%}"),
        Column("p99_at_end", "p99 latency in the last 30 s, ms"),
        Column("dead_rows", "dead rows at the end", "{:,.0f}"),
    )

    def measure(self, lab: Laboratory, peer: Peer, vendor: str, jobs: int) -> Sample:
        site = lab.site(peer, vendor)
        site.empty()
        with site.worker() as worker, _old_snapshot(site):
            site.driver.ask("enqueue_one")
            site.wait_for_marks(1, worker)
            before = lab.read(site, worker)
            site.driver.begin("offer", lab.options.rate, lab.options.seconds)
            batches: list[Batch] = site.driver.answer()["value"]
            runs = _runs(site, worker, sum(count for _, count in batches))
            span = lab.span(before, lab.read(site, worker), before.at, batches[-1][0])
            dead = _dead_rows(site)
        in_time = sum(moment <= batches[-1][0] for moment in runs)
        details = {"dead_rows": dead, **_details(batches, runs)}
        return Sample.rate(peer.name, in_time, span, **details)


@contextmanager
def _old_snapshot(site: Site) -> Iterator[None]:
    with _connect(site) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM pg_class")
        yield


def _connect(site: Site) -> Any:
    if not isinstance(site.server, PostgreSQL):
        raise BenchmarkError(f"An old snapshot is held open on PostgreSQL only, not on {site.server.vendor}.")
    return site.server.connect(site.url)


def _dead_rows(site: Site) -> int:
    with _connect(site) as connection:
        dead: int = connection.execute(
            "SELECT coalesce(sum(n_dead_tup), 0)::bigint FROM pg_stat_user_tables"
        ).fetchone()[0]
        return dead


def _runs(site: Site, worker: ProcessGroup, offered: int) -> list[int]:
    """Return when jobs ran, without the one before; those that are late have ten seconds."""
    deadline = time.monotonic() + GRACE
    while marks.count(site.marks) <= offered and time.monotonic() < deadline:
        worker.check()
        time.sleep(0.1)
    return sorted(marks.read_from(site.marks, 1))


def _details(batches: Sequence[Batch], runs: Sequence[int]) -> dict[str, Any]:
    until = batches[-1][0]
    slices = shares(batches, runs, SLICE)
    end = until - END * SECOND
    offered = sum(count for moment, count in batches if moment > end)
    late = latencies(batches, runs, missing=until + GRACE * SECOND)
    return {
        "slices": slices,
        "least_slice": min(slices),
        "share": sum(moment <= until for moment in runs) / sum(count for _, count in batches),
        "share_at_end": sum(end < moment <= until for moment in runs) / max(offered, 1),
        "p99_at_end": percentile(late[-offered:], 99),
    }


def shares(batches: Sequence[Batch], runs: Sequence[int], seconds: float) -> list[float]:
    """Return for each slice of time how many jobs ran in it, as a share of those that were offered in it."""
    began, length = batches[0][0], int(seconds * SECOND)
    slices = max(round((batches[-1][0] - began) / length), 1)
    offered, ran = [0] * slices, [0] * slices
    for moment, count in batches:
        if (number := (moment - began) // length) < slices:
            offered[number] += count
    for moment in runs:
        if 0 <= (number := (moment - began) // length) < slices:
            ran[number] += 1
    return [done / asked if asked else 1.0 for done, asked in zip(ran, offered, strict=True)]


def latencies(batches: Sequence[Batch], runs: Sequence[int], *, missing: int) -> list[float]:
    """Return milliseconds for each offered job, as if the first offered were the first to run, and so on.

    missing: when a job is taken to have run that never did, in nanoseconds.
    """
    enqueued = [moment for moment, count in batches for _ in range(count)]
    ran = [*runs, *[missing] * (len(enqueued) - len(runs))]
    return [(end - begin) / SECOND * 1_000 for begin, end in zip(enqueued, ran, strict=False)]
