"""A TCP proxy that can be cut or held, in front of a server that others use too."""

import select
import socket
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Proxy"]


class Proxy:
    """Forwards connections from a port of its own.

    cut() breaks them all and refuses new ones until restore(). hold() keeps them open, but lets nothing through until
    let_go(): to both ends the other one is silent.
    """

    def __init__(self, url: str, address: str = "127.0.0.1") -> None:
        parts = urlsplit(url)
        self.address = address
        self.target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self.listener = self._listen(0)
        self.port = self.listener.getsockname()[1]
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        self.url = parts._replace(netloc=f"{user}{address}:{self.port}").geturl()
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        # What a client has to send for everything to be held.
        self.word = b""
        self.flowing = threading.Event()
        self.flowing.set()

    def __enter__(self) -> "Proxy":
        self._start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.cut()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        # shutdown() wakes threads that wait in accept() or recv(); close() alone does not.
        for each in [self.listener, *(end for pair in self.pairs for end in pair)]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.pairs.clear()
        self.let_go()

    def restore(self) -> None:
        self.listener = self._listen(self.port)
        self._start()

    def hold(self) -> None:
        """Forward nothing more, and say so to nobody."""
        self.flowing.clear()

    def hold_at(self, word: bytes) -> None:
        """Hold as soon as a client sends this."""
        self.word = word

    def let_go(self) -> None:
        """Forward again, from where it was."""
        self.flowing.set()

    def _listen(self, port: int) -> socket.socket:
        return socket.create_server((self.address, port))

    def _start(self) -> None:
        threading.Thread(target=self._accept, args=[self.listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connect, args=[client], daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        # Where the server is away, the client learns of it, and the next one is tried again.
        with suppress(OSError), client:
            self.flowing.wait()
            with socket.create_connection(self.target) as server:
                pair = (client, server)
                self.pairs.append(pair)
                if self.listener.fileno() == -1:
                    # Cut in the meantime.
                    return
                self._forward(client, server)
                with suppress(ValueError):
                    self.pairs.remove(pair)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with suppress(OSError, ValueError):
            while True:
                for end in select.select([client, server], [], [])[0]:
                    self.flowing.wait()
                    data = end.recv(65_536)
                    if self.word and end is client and self.word in data:
                        self.hold_at(b"")
                        self.hold()
                        self.flowing.wait()
                    if not data:
                        return
                    other[end].sendall(data)
