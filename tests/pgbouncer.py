"""A PgBouncer in transaction mode, in front of the PostgreSQL of the tests."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .servers import MissingService, postgresql_url
from .waiting import LIMIT, wait_for

__all__ = ["PgBouncer", "find_pgbouncer"]

# Debian's place for it is not in everybody's path.
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin"
INI = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen_port}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = {size}
logfile = {directory}/log
"""


def find_pgbouncer() -> str:
    """Return the path of the program. Raise MissingService if it is not installed."""
    path = shutil.which("pgbouncer", path=PLACES)
    if path is None:
        raise MissingService("There is no pgbouncer; in Debian the package has this name.")
    return path


class PgBouncer:
    """Forwards clients to at most `size` sessions of PostgreSQL for each database, one transaction at a time."""

    def __init__(self, program: str, size: int) -> None:
        self.program = program
        self.size = size
        self.server = urlsplit(postgresql_url())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = self.server._replace(netloc=f"{self.server.username}@127.0.0.1:{self.port}", query="").geturl()

    def __enter__(self) -> "PgBouncer":
        # Not in a directory of pytest's: those belong to root alone, who may not run it.
        self.directory = Path(tempfile.mkdtemp(prefix="tests-pgbouncer-"))
        (self.directory / "users").write_text(f'"{self.server.username}" "{self.server.password or ""}"\n')
        place = {"host": self.server.hostname or "/var/run/postgresql", "port": self.server.port or 5432}
        ini = INI.format(directory=self.directory, listen_port=self.port, size=self.size, **place)
        (self.directory / "ini").write_text(ini)
        self.process = subprocess.Popen(
            [self.program, "-q", str(self.directory / "ini")], stdin=subprocess.DEVNULL, **self._user()
        )
        wait_for(partial(self._answers), "PgBouncer to answer")
        return self

    def _user(self) -> dict[str, Any]:
        if os.getuid():
            return {}
        nobody = pwd.getpwnam("nobody")
        for path in (self.directory, *self.directory.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.directory / "log").read_text()
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
            return True
        return False

    def __exit__(self, *exception: Any) -> None:
        self.process.terminate()
        self.process.wait(LIMIT)
        shutil.rmtree(self.directory)
