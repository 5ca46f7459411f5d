"""A run: servers, workers, producers and strikes, until all is drained; then the history of it."""

import json
import os
import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ..notifiers.proxy import Proxy
from ..servers import is_required
from .crew import Crew, Place, Producers, base_environment
from .disks import Disk
from .errors import ChaosError
from .excuses import Excuses
from .faults import RESCUER, WAKING, Scene
from .history import Event, History
from .injector import Injector, usable
from .liveness import Seen, Stall, Trouble
from .servers import SERVERS, Server

if TYPE_CHECKING:
    from .mixture import Mixture

__all__ = ["Chaos", "Outcome", "Plan"]

# Small, so that a rescue takes seconds; nobody gives up a job because we have killed it too often.
OPTIONS = {
    "heartbeat_interval": 0.5, "rescue_after": 3.0, "max_losses": 10_000, "unknown_task_delay": 1.0,
    "unknown_task_grace": 86_400.0, "poll_interval": 1.0, "max_errors": 10,
}  # fmt: skip
# Beside mixed loads a worker may be silent for longer, so that one that stands still is seen before it is given up;
# and what no worker knows does not come back at once.
MIXED_OPTIONS = {"rescue_after": 6.0, "unknown_task_delay": 10.0}
LIBFAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
TURN = 0.05
# Seconds from one half without strikes to the next, where there are any.
PERIOD = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """seconds: for which it strikes. jobs: as many as are meant in that time. every: seconds between two strikes.

    slow: the share of jobs that take a second or two. limit: seconds for what is left when the strikes are over.
    loads: of mixture.LOADS; with any of them the workers' lives are watched too, and every minute has a half without
    strikes, in which nothing excuses them.
    """

    database: str = "postgresql"
    seconds: float = 180.0
    jobs: int = 6_000
    workers: int = 4
    producers: int = 2
    seed: int = 0
    faults: tuple[str, ...] = ()
    every: float = 1.5
    slow: float = 0.05
    limit: float = 180.0
    mutation: str = ""
    loads: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a run has left: its history, and the figures of the harness itself."""

    history: History
    figures: dict[str, Any] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)


class Chaos:
    """logs: a folder for everything that is recorded; temporary: one for the data of servers."""

    def __init__(self, plan: Plan, logs: Path, temporary: Path) -> None:
        self.plan = plan
        self.logs = logs.resolve()
        self.temporary = temporary
        # A server's own user has to come through.
        temporary.chmod(0o755)
        self.random = Random(plan.seed)
        self.events: list[Event] = []
        self.missing: dict[str, str] = {}
        self.options = {**OPTIONS, **(MIXED_OPTIONS if plan.loads else {})}
        self.excuses = Excuses(rescue=self.options["rescue_after"] + RESCUER + WAKING)
        self.mixture: Mixture | None = None
        self._closing = ExitStack()
        self._events = (logs / "events.jsonl").open("a")

    def __enter__(self) -> "Chaos":
        return self

    def __exit__(self, *error: Any) -> None:
        self._closing.close()
        self._events.close()

    def tell(self, kind: str, what: str) -> None:
        event = Event(at=time.time(), kind=kind, what=what)
        self.events.append(event)
        self._events.write(json.dumps([event.at, kind, what]) + "\n")
        self._events.flush()

    # The parts.

    def make_server(self) -> tuple[Server, Disk | None]:
        """Start a server, on a disk of its own that can be full, where this machine lets us mount one."""
        disk = None
        folder = self.temporary / "disk"
        try:
            disk = Disk(folder)
            self._closing.callback(disk.close)
        except ChaosError as error:
            self.missing["disk"] = str(error)
            folder.mkdir(exist_ok=True)
            folder.chmod(0o777)
        server = SERVERS[self.plan.database](folder / "data", self.server_logs())
        self.adopt(server)
        return server, disk

    def adopt(self, server: Server) -> None:
        """Stop a server at the end, and create its files now."""
        self._closing.callback(server.stop, crash=True)
        server.create()

    def server_logs(self) -> Path:
        """Return a folder in which any user may write; what is in it is kept with the other logs."""
        folder = self.temporary / "logs"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        self._closing.callback(shutil.copytree, folder, self.logs, dirs_exist_ok=True)
        return folder

    def make_tables(self, server: Server) -> None:
        """Let this process be a client too, and make the tables."""
        os.environ |= self.environment(server)
        os.environ["CHAOS_MUTATION"] = ""
        import_module("django").setup()
        import_module("django.core.management").call_command("migrate", run_syncdb=True, verbosity=0)

    def environment(self, server: Server, port: int | None = None) -> dict[str, str]:
        return base_environment(json.dumps(server.settings(port)), json.dumps(self.options), self.plan.mutation)

    def make_proxy(self, server: Server) -> Proxy | None:
        if not server.has_port:
            return None
        return self._closing.enter_context(Proxy(f"tcp://{server.host}:{server.port}"))

    def make_clock(self) -> tuple[Path | None, dict[str, str]]:
        """Return a file that moves the clock of whoever has the environment beside it."""
        found = sorted(Path("/").glob(LIBFAKETIME.lstrip("/")))
        if not found and is_required():
            raise ChaosError("libfaketime is not installed, and CI is to leave nothing out.")
        if not found:
            self.missing["clock"] = "libfaketime is not installed"
            return None, {}
        clock = self.logs / "clock"
        clock.write_text("+0\n")
        return clock, {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # A killed process would leave a lock behind.
            "FAKETIME_DISABLE_SHM": "1",
        }

    def make_places(self, server: Server, proxy: Proxy | None, moved: dict[str, str]) -> list[Place]:
        """Every second one comes through the proxy, if there is one; the clock of the first can be moved."""
        places = []
        for number in range(self.plan.workers):
            port = proxy.port if proxy and number % 2 else None
            clock = {} if number else moved
            places.append(Place(number, {**self.environment(server, port), **clock}))
        return places

    def make_crew(self, places: list[Place]) -> Crew:
        crew = Crew(places, self.logs, {}, self.tell)
        crew.excuses = self.excuses
        self._closing.callback(crew.destroy)
        return crew

    def make_producers(self, environments: list[dict[str, str]]) -> Producers:
        plan = self.plan
        given: dict[str, float | str] = {
            "jobs": plan.jobs // len(environments), "seconds": plan.seconds, "slow": plan.slow,
            "loads": ",".join(self.mixture.streams if self.mixture else ()),
        }  # fmt: skip
        producers = Producers(environments, self.logs, plan.seed, **given)
        self._closing.callback(producers.destroy)
        return producers

    def make_mixture(self, server: Server, crew: Crew) -> None:
        """Let the loads and the monitor begin, where there are to be any."""
        if not self.plan.loads:
            return
        mixture, loads = import_module("tests.chaos.mixture"), import_module("tests.chaos.loads")
        ground = loads.Ground(
            vendor=server.vendor, seconds=self.plan.seconds, random=Random(f"{self.plan.seed} bursts"), crew=crew,
            excuses=self.excuses, tell=self.tell,
        )  # fmt: skip
        self.mixture = made = mixture.Mixture(self.plan.loads, ground, self.plan.seed, self.logs)
        self._closing.callback(made.close)
        made.furnish(crew)
        made.start(self.environment(server))

    # The whole.

    def run(self) -> Outcome:
        server, disk = self.make_server()
        self.make_tables(server)
        proxy = self.make_proxy(server)
        clock, moved = self.make_clock()
        crew = self.make_crew(self.make_places(server, proxy, moved))
        scene = Scene(
            random=self.random, server=server, crew=crew, rescue_after=self.options["rescue_after"],
            missing=self.missing, proxy=proxy, disk=disk, clock=clock, excuses=self.excuses,
        )  # fmt: skip
        kinds, left_out = usable(scene, self.plan.faults)
        injector = Injector(scene, kinds, self.plan.every, self.tell)
        self.make_mixture(server, crew)
        ports = [proxy.port if proxy and number % 2 else None for number in range(self.plan.producers)]
        crew.replace_the_dead()
        producers = self.make_producers([self.environment(server, port) for port in ports])
        self.strike(injector, crew, self.plan.seconds)
        server.start()
        outcome = self.settle(crew, producers, injector)
        outcome.left_out = left_out
        return outcome

    def strike(self, injector: Injector, crew: Crew, seconds: float) -> None:
        began = time.monotonic()
        period = min(PERIOD, seconds)
        while (passed := time.monotonic() - began) < seconds:
            is_quiet = self.mixture is not None and passed % period > period / 2
            (injector.rest if is_quiet else injector.turn)()
            if self.mixture:
                self.mixture.turn()
            crew.replace_the_dead()
            time.sleep(TURN)
        injector.finish()

    def settle(self, crew: Crew, producers: Producers, injector: Injector) -> Outcome:
        """Let all of them be well, wait until nothing is left to do, and return what there is to check."""
        self.tell("calm", "no more strikes")
        crew.heal()
        injector.uncounted.append(time.time())
        if self.mixture:
            self.mixture.finish()
        began = time.monotonic()
        drain = import_module("tests.chaos.drain").Drain(crew, producers, self.mixture)
        jobs = drain.run(self.plan.limit)
        drained = time.monotonic() - began
        for failure in producers.failed():
            raise ChaosError(f"A producer has failed: {failure}, see {self.logs}.")
        crew.stop()
        figures = {"seconds to drain": round(drained, 1), "jobs left": jobs, "workers started": crew.started}
        return self._conclude(crew, producers, injector, Outcome(history=History(), figures=figures), drain.finish())

    def _conclude(
        self, crew: Crew, producers: Producers, injector: Injector, outcome: Outcome, stalls: list[Stall]
    ) -> Outcome:
        """Read what there is to check, and judge how the workers have lived."""
        ledger = import_module("tests.chaos.ledger")
        journals = [*producers.journals, *(self.mixture.journals if self.mixture else ())]
        outcome.history = history = ledger.read(journals)
        history.events = self.events
        history.uncounted += injector.uncounted
        history.ended += self.excuses.ended
        outcome.struck = dict(injector.struck)
        if self.mixture:
            self.mixture.close()
            self.mixture.complete(history)
            seen = Seen(stops=crew.stops, lost=ledger.lost(), stalls=stalls, rescue_after=self.options["rescue_after"])
            outcome.troubles, found = self.mixture.judge(history, seen)
            outcome.figures |= found | {f"* {name}": count for name, count in sorted(self.mixture.begun.items())}
        return outcome
