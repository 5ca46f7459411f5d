"""Failover: a primary with a synchronous standby, the primary killed under load and the standby promoted, again and
again. Workers and producers find by themselves who takes writes, from a list of hosts."""

import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from ..benchmarks.processes import trees
from ..waiting import wait_for
from .crew import Crew, send
from .errors import ChaosError
from .faults import Scene
from .injector import Injector, usable
from .run import TURN, Chaos, Outcome
from .servers import PostgreSQL

__all__ = ["Failover"]

# Strikes beside the failovers: what befalls the processes of a worker.
BESIDE = ("kill-child", "kill-supervisor", "kill-worker", "stop-child", "stop-supervisor", "stop-worker", "deploy")
# Seconds under load between two failovers; and without a primary.
BETWEEN, WITHOUT = 6.0, 1.0


class Node(PostgreSQL):
    """One of the two."""

    def __init__(self, data: Path, logs: Path, name: str) -> None:
        super().__init__(data, logs)
        self.name = name

    def follow(self, primary: "Node") -> None:
        """Become a standby, from a new copy of the primary; return when no commit of that one is without us."""
        place = f"host={primary.host} port={primary.port} user=chaos application_name={self.name}"
        self.run("pg_basebackup", "-D", self.data, "-d", place, "-R", "-X", "stream", "-c", "fast", "--no-sync")
        self.start()
        # After the copy, which would wait for itself otherwise, once it is promoted.
        primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{self.name}'")
        primary.execute("SELECT pg_reload_conf()")
        wait_for(lambda: primary.is_followed, f"{self.name} to follow {primary.name} synchronously")

    @property
    def is_followed(self) -> bool:
        with suppress(ChaosError):
            return bool(self.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"))
        return False

    def promote(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-w", "promote")

    def kill(self) -> None:
        """End all its processes at once, for good: what it had is gone, and it cannot come back with it."""
        family = trees([self.pid]) if self.pid else []
        send(family, signal.SIGSTOP)
        send(family, signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        shutil.rmtree(self.data)


class Pair(PostgreSQL):
    """Both as their clients see them."""

    def __init__(self, primary: Node, standby: Node) -> None:
        self.primary, self.standby = primary, standby

    def settings(self, port: int | None = None) -> dict[str, Any]:
        nodes = sorted([self.primary, self.standby], key=lambda node: node.name)
        return {
            **self.primary.settings(),
            "HOST": ",".join(node.host for node in nodes),
            "PORT": ",".join(str(node.port) for node in nodes),
            "OPTIONS": {"target_session_attrs": "read-write", "connect_timeout": 10},
        }

    def create(self) -> None:
        self.primary.create()
        self.standby.follow(self.primary)

    def start(self) -> None:
        self.primary.start()

    def stop(self, *, crash: bool = False) -> None:
        for node in (self.primary, self.standby):
            node.stop(crash=crash)

    def fail_over(self) -> None:
        """Kill the primary, and promote the standby."""
        self.primary.kill()
        time.sleep(WITHOUT)
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def follow_again(self) -> None:
        """Make a new standby of the one that was killed."""
        self.standby.follow(self.primary)


class Failover(Chaos):
    def run(self) -> Outcome:
        folder, logs = self.temporary, self.server_logs()
        for name in ("a", "b"):
            (folder / name).mkdir()
            (folder / name).chmod(0o777)
        pair = Pair(Node(folder / "a/data", logs, "node_a"), Node(folder / "b/data", logs, "node_b"))
        self.adopt(pair)
        self.make_tables(pair)
        crew = self.make_crew(self.make_places(pair, None, {}))
        injector = self._make_injector(pair, crew)
        crew.replace_the_dead()
        producers = self.make_producers([self.environment(pair)] * self.plan.producers)
        failovers = self._fail_over_and_over(pair, injector, crew)
        outcome = self.settle(crew, producers, injector)
        outcome.struck["failover"] = failovers
        return outcome

    def _make_injector(self, pair: Pair, crew: Crew) -> Injector:
        scene = Scene(
            random=self.random,
            server=pair,
            crew=crew,
            rescue_after=self.options["rescue_after"],
            missing=self.missing,
            excuses=self.excuses,
        )
        kinds, _ = usable(scene, self.plan.faults or BESIDE)
        return Injector(scene, kinds, self.plan.every * 2, self.tell)

    def _fail_over_and_over(self, pair: Pair, injector: Injector, crew: Crew) -> int:
        """Return how often the standby took over."""
        failovers, ends_at = 0, time.monotonic() + self.plan.seconds
        while not failovers or time.monotonic() < ends_at:
            self._under_load(injector, crew)
            # Those commits that nobody waits for, claims, are lost with the primary.
            injector.uncounted.append(time.time())
            self.tell("failover", f"{pair.primary.name} is killed, {pair.standby.name} promoted")
            pair.fail_over()
            failovers += 1
            self._under_load(injector, crew)
            pair.follow_again()
            self.tell("followed", f"{pair.standby.name} is a synchronous standby")
        injector.finish()
        return failovers

    def _under_load(self, injector: Injector, crew: Crew) -> None:
        ends_at = time.monotonic() + BETWEEN / 2
        while time.monotonic() < ends_at:
            injector.turn()
            crew.replace_the_dead()
            time.sleep(TURN)
