import json
import os
import subprocess
import sys
from pathlib import Path

from tests.waiting import LIMIT

ROOT = Path(__file__).parent.parent.parent.parent


def test_a_pool_grows_and_shrinks_and_kills_nothing(tmp_path: Path) -> None:
    """With real children, in a process of its own: they are forked from it.

    There is no such database: children whose tasks need none open no connection.
    """
    settings = {"DJANGO_SETTINGS_MODULE": "tests.settings", "TEST_DATABASE_NAME": "test_tasksq_none"}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.worker.pools.resizing", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == {
        "left by growth": [],
        "left by the idle": [],
        "the busy one stays": True,
        "left by the busy": 2,
        "none takes its place": True,
        "the last": True,
        "events": ["Finished", "Finished"],
        "causes": [None] * 4,
    }
