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
from django.core.management import CommandError, call_command

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
    """Run the command in this process, as a caller would: tasks("show", job_id, "--json").

    Whatever did not go as asked is a CommandError. Its text is in err, unless the command has written it to stdout.
    """

    def run(*arguments: object) -> Ran:
        out, err, code = io.StringIO(), io.StringIO(), 0
        with redirect_stderr(err):
            try:
                call_command("tasks", *arguments, stdout=out, stderr=err)
            except CommandError as error:
                code = error.returncode
                if str(error) != out.getvalue().rstrip("\n"):
                    err.write(str(error))
        return Ran(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def tasks_process(transactional_db: None) -> Callable[..., Ran]:
    """Run the command in a separate process, on the database of the tests or with other settings."""

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
