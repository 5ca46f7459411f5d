"""The queues that are measured: each file here has the adapters of one, which are found by being there."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from .base import Peer

__all__ = ["OURS", "PEERS", "Peer"]

OURS = "django_tasks_q"


def _adapters() -> Iterator[Peer]:
    for found in iter_modules(__path__, f"{__name__}."):
        for value in list(vars(import_module(found.name)).values()):
            if _is_adapter(value) and value.__module__ == found.name:
                yield value()


def _is_adapter(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Peer) and hasattr(value, "name")


# By name; ours first, because the others are compared with it.
PEERS: dict[str, Peer] = {
    peer.name: peer for peer in sorted(_adapters(), key=lambda peer: (peer.name != OURS, peer.name))
}
