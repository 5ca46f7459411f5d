"""Several hosts: workers in network namespaces, one of them cut off for longer than `rescue_after`."""

import os
from collections.abc import Sequence
from functools import partial

from .crew import Place
from .faults import RESCUER, Fault, Later, Scene
from .injector import Injector, usable
from .networks import Host, Network
from .run import Chaos, Outcome
from .servers import SERVERS, Server

__all__ = ["Partition"]

BESIDE = ("kill-child", "kill-supervisor", "kill-worker", "stop-supervisor", "stop-worker", "deploy")


class CutOff(Fault):
    """A host is cut off, most often until it is presumed dead, and comes back with all that it was doing."""

    uncounted = True
    weight = 6

    def __init__(self, network: Network) -> None:
        self.network = network
        self.away: set[str] = set()

    def strike(self, scene: Scene) -> tuple[str, Sequence[Later]] | None:
        # One stays, so that there is somebody to notice.
        here = [host for host in self.network.hosts if host.name not in self.away]
        if len(here) < 2:
            return None
        host = scene.random.choice(here)
        seconds = scene.rescue_after + scene.random.uniform(-1.0, RESCUER + 4.0)
        host.pull_out()
        self.away.add(host.name)
        return f"{host.name} for {seconds:.1f} s", [(seconds, partial(self._bring_back, host))]

    def _bring_back(self, host: Host) -> None:
        host.plug_in()
        self.away.discard(host.name)


class Partition(Chaos):
    def run(self) -> Outcome:
        number = os.getpid() % 200
        network = Network(f"cb{number}", f"10.213.{number}")
        self._closing.callback(network.close)
        server = self._make_server(network)
        self.make_tables(server)
        crew = self.make_crew(self._places(network, server))
        scene = Scene(
            random=self.random,
            server=server,
            crew=crew,
            rescue_after=self.options["rescue_after"],
            missing=self.missing,
            excuses=self.excuses,
        )
        kinds, _ = usable(scene, self.plan.faults or BESIDE)
        injector = Injector(scene, {**kinds, "cut-off": CutOff(network)}, self.plan.every, self.tell)
        crew.replace_the_dead()
        producers = self.make_producers([self.environment(server)] * self.plan.producers)
        self.strike(injector, crew, self.plan.seconds)
        return self.settle(crew, producers, injector)

    def _make_server(self, network: Network) -> Server:
        folder = self.temporary / "server"
        folder.mkdir()
        folder.chmod(0o777)
        server = SERVERS[self.plan.database](folder / "data", self.server_logs(), network.address)
        self.adopt(server)
        return server

    def _places(self, network: Network, server: Server) -> list[Place]:
        """Two workers on each of so many hosts: each sees from the processes whether its neighbour lives."""
        hosts = [network.add_host() for _ in range(max(2, self.plan.workers // 2))]
        environment = self.environment(server)
        return [Place(number, environment, hosts[number % len(hosts)].prefix) for number in range(2 * len(hosts))]
