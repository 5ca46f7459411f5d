import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent.parent
NAME = "own"


class OwnPostgreSQL:
    """A PostgreSQL for one test, which may do with it what it likes; the session's own database is another one."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TEST_DATABASE": "postgresql",
            "TEST_POSTGRES_URL": server.get_uri(),
            "TEST_DATABASE_NAME": NAME,
            # Or the settings would name a database for this process of `pytest -n`.
            "PYTEST_XDIST_WORKER": "",
        }

    def migrate(self) -> None:
        self.server.psql(f"CREATE DATABASE {NAME}")
        self.run("-m", "django", "migrate", "-v", "0", "--run-syncdb")

    def run(self, *arguments: str) -> None:
        """Run Python with the settings of this database."""
        subprocess.run([sys.executable, *arguments], env=self.environment, cwd=ROOT, check=True)

    def enqueue(self, expression: str) -> None:
        """Enqueue a list of calls, given as Python that knows `tasks` and `own`."""
        self.run(
            "-c",
            "import django; django.setup()\n"
            "from django_tasks_q import enqueue_many\n"
            "from tests import tasks\n"
            "from tests.worker import tasks as own\n"
            f"enqueue_many({expression})",
        )

    def ask(self, query: str) -> Any:
        """Return the first column of the first row."""
        import psycopg  # noqa: PLC0415

        with psycopg.connect(self.server.get_uri(database=NAME), autocommit=True) as connection:
            return connection.execute(query).fetchone()[0]

    def wait_for_workers(self, count: int) -> None:
        online = "SELECT count(*) FROM django_tasks_q_worker WHERE status = 'ONLINE'"
        wait_for(lambda: self.ask(online) == count, f"{count} workers to be ONLINE")

    def restart(self, mode: str) -> None:
        """Restart it: smart, fast, or immediate, which is a crash."""
        self._pg_ctl("-m", mode, "-l", str(self.server.log), "restart")
        # It has another process now, which is to be stopped in the end.
        self.server.ensure_postgres_running()

    def stop(self) -> None:
        self._pg_ctl("-m", "fast", "stop")

    def start(self) -> None:
        """Start it again."""
        self.server.ensure_postgres_running()

    def log_statements(self) -> None:
        """Write every statement to the log from now on."""
        self.server.psql("ALTER SYSTEM SET log_statement = 'all'")
        self.server.psql("ALTER SYSTEM SET log_line_prefix = '%d '")
        self.server.psql("SELECT pg_reload_conf()")

    def logged_statements(self) -> list[str]:
        """Return the lines of the statements that were sent to its database."""
        lines = self.server.log.read_text().splitlines()
        return [
            line
            for line in lines
            if line.startswith(f"{NAME} LOG:  ") and ("statement: " in line or "execute " in line)
        ]

    def _pg_ctl(self, *arguments: str) -> None:
        subprocess.run(
            [str(self.server.bin_path / "pg_ctl"), "-w", "-D", str(self.server.pgdata), *arguments],
            user=self.server.system_user, check=True, stdout=subprocess.DEVNULL, cwd=self.server.pgdata,
        )  # fmt: skip


@pytest.fixture
def own_postgresql() -> Iterator[OwnPostgreSQL]:
    """A PostgreSQL from pip's binaries, with the tables in place."""
    with warnings.catch_warnings():
        # The package, at its import, about directories of this machine.
        warnings.simplefilter("ignore")
        own = OwnPostgreSQL(servers.start_postgresql())
    own.migrate()
    yield own
    own.server.cleanup()
