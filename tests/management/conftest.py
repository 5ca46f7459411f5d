import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from django_tasks_q.management.commands.tasks import Command

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Ran:
    """What `manage.py tasks` did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def tasks(db: None) -> Callable[..., Ran]:
    """Run the command in this process: tasks("show", job_id, "--json")."""

    def run(*arguments: object) -> Ran:
        out, err, code = io.StringIO(), io.StringIO(), 0
        command = Command(stdout=out, stderr=err)
        # As manage.py does, except that it would close the connection, and end the test's transaction with it.
        command._called_from_command_line = True
        with redirect_stderr(err):
            try:
                options = vars(command.create_parser("manage.py", "tasks").parse_args([*map(str, arguments)]))
                command.execute(**options)
            except CommandError as error:
                code = error.returncode
                err.write(str(error))
            except SystemExit as leaving:
                code = int(leaving.code or 0)
        return Ran(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def tasks_process(transactional_db: None) -> Callable[..., Ran]:
    """Run the command in a process of its own, on the database of the tests or with other settings."""

    def run(*arguments: object, settings: str = "tests.settings", **environment: str) -> Ran:
        ended = subprocess.run(
            [sys.executable, "-m", "django", "tasks", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": settings, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    return run
