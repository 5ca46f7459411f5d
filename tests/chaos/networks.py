"""Hosts made of network namespaces, each with a name of its own, on one bridge. Needs root, and iproute2."""

import subprocess
from contextlib import suppress

from .errors import ChaosError

__all__ = ["Host", "Network"]


class Host:
    """One end of a cable. prefix: of commands, to run them there, under its own host name."""

    def __init__(self, network: "Network", number: int) -> None:
        self.network = network
        self.name = f"{network.name}h{number}"
        self.address = f"{network.subnet}.{number + 10}"
        self._plug = f"{network.name}p{number}"
        ip("netns", "add", self.name)
        ip("link", "add", self._plug, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        self.within("addr", "add", f"{self.address}/24", "dev", "eth0")
        self.within("link", "set", "eth0", "up")
        self.within("link", "set", "lo", "up")
        ip("link", "set", self._plug, "up")
        self.plug_in()

    @property
    def prefix(self) -> list[str]:
        # The name first: what a worker calls itself has to differ from host to host.
        rename = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        return ["ip", "netns", "exec", self.name, *rename]

    def within(self, *arguments: str) -> None:
        ip("-n", self.name, *arguments)

    def pull_out(self) -> None:
        """Cut it off: what it sends is lost, and it is told nothing."""
        ip("link", "set", self._plug, "nomaster")

    def plug_in(self) -> None:
        ip("link", "set", self._plug, "master", self.network.name)

    def close(self) -> None:
        with suppress(ChaosError):
            ip("netns", "delete", self.name)
        with suppress(ChaosError):
            # Deleted with its other end, unless a process still holds the namespace.
            ip("link", "delete", self._plug)


class Network:
    """A bridge with an address of its own. Raise ChaosError if this machine does not let us make one."""

    def __init__(self, name: str, subnet: str) -> None:
        self.name = name
        self.subnet = subnet
        self.address = f"{subnet}.1"
        self.hosts: list[Host] = []
        ip("link", "add", name, "type", "bridge")
        ip("addr", "add", f"{self.address}/24", "dev", name)
        ip("link", "set", name, "up")

    def add_host(self) -> Host:
        self.hosts.append(Host(self, len(self.hosts)))
        return self.hosts[-1]

    def close(self) -> None:
        for host in self.hosts:
            host.close()
        with suppress(ChaosError):
            ip("link", "delete", self.name)


def ip(*arguments: str) -> None:
    try:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ChaosError(f"ip {' '.join(arguments)}: {said.strip()}") from error
