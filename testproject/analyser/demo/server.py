import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application

__all__ = ["HOST", "PortUnavailable", "serve"]

HOST = "127.0.0.1"


class PortUnavailable(Exception):
    """Another process has the port, or only root may."""


@contextmanager
def serve(port: int) -> Iterator[str]:
    """Serve the site in a thread; give its URL. Port 0 takes a free one. Raise PortUnavailable."""
    # A page that is being watched asks every second: only what goes wrong is worth a line.
    logging.getLogger("django.server").setLevel(logging.WARNING)
    with _bind(port) as server:
        server.set_app(get_wsgi_application())
        thread = Thread(target=server.serve_forever, name="site", daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _bind(port: int) -> ThreadedWSGIServer:
    try:
        return ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
    except OSError as error:
        raise PortUnavailable(f"Port {port} cannot be used: {error.strerror}. Choose another with --port.") from error
