"""A TCP proxy that can be cut, in front of a server that others use too."""

import select
import socket
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Proxy"]


class Proxy:
    """Forwards connections from a port of its own; cut() breaks them all and refuses new ones until restore()."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self.listener = self._listen(0)
        self.port = self.listener.getsockname()[1]
        self.url = parts._replace(netloc=f"127.0.0.1:{self.port}").geturl()
        self.pairs: list[tuple[socket.socket, socket.socket]] = []

    def __enter__(self) -> "Proxy":
        self._start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.cut()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        # shutdown() wakes whoever waits in accept() or recv(); close() alone does not.
        for each in [self.listener, *(end for pair in self.pairs for end in pair)]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.pairs.clear()

    def restore(self) -> None:
        self.listener = self._listen(self.port)
        self._start()

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server(("127.0.0.1", port))

    def _start(self) -> None:
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self.target)
                self.pairs.append((client, server))
                threading.Thread(target=self._forward, args=[client, server], daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with suppress(OSError, ValueError), client, server:
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(65_536)
                    if not data:
                        return
                    other[end].sendall(data)
