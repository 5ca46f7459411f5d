"""Django's own tests of the Tasks framework: fetched from its source distribution, and pointed at this backend."""

import fcntl
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from django_tasks_q.compat import FRAMEWORK

from ..servers import MissingService

__all__ = ["fetch_suite", "point_at_stand_ins"]

STAND_INS = "tests.dep14.standins"
SUITE = re.compile(r"[^/]+/tests/tasks/(\w+\.py)")
# Django's names are what the backport's became after 0.12.
OLD_NAMES = {"InvalidTask": "InvalidTaskError", "InvalidTaskBackend": "InvalidTaskBackendError"}
SECONDS_TO_DOWNLOAD = 240


def fetch_suite(version: str, cache: Path) -> Path:
    """Return the folder with the tests of this Django, which pip downloads once. Raise MissingService.

    cache: where they are kept, for the sessions beside this one too.
    """
    kept = cache / f"django-{version}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with tempfile.TemporaryDirectory(dir=cache) as place:
                _extract(_download(version, Path(place)), Path(place, "suite"))
                os.rename(Path(place, "suite"), kept)
    return kept


def _download(version: str, place: Path) -> Path:
    # Django's tests may be newer than the Django that this Python can run.
    options = ["--no-deps", "--no-binary", ":all:", "--ignore-requires-python", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(place), f"Django=={version}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_DOWNLOAD, check=False)
    except subprocess.TimeoutExpired as error:
        raise MissingService(f"pip has not downloaded Django {version} within {error.timeout} s.") from error
    if done.returncode:
        raise MissingService(f"pip could not download the source of Django {version}:\n{done.stdout}{done.stderr}")
    return next(place.glob("*.tar.gz"))


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir()
    with tarfile.open(archive) as files:
        for member in files:
            source = files.extractfile(member) if (match := SUITE.fullmatch(member.name)) else None
            if match and source:
                (folder / match[1]).write_bytes(source.read())


def point_at_stand_ins(suite: Path, package: Path) -> None:
    """Write the tests as a package in which the stand-ins replace Django's own backends."""
    package.mkdir()
    for path in suite.glob("*.py"):
        (package / path.name).write_text(_pointed(path.read_text()))


def _pointed(source: str) -> str:
    source = re.sub(r"django\.tasks\.backends\.(dummy|immediate)\b", STAND_INS, source)
    # The built-in backends need no database. This one does: what it stores is committed, and the tables are emptied,
    # as Django does that for every project, with the settings of the test.
    source = re.sub(r"\bSimpleTestCase\b", "TransactionTestCase", source)
    if FRAMEWORK == "django.tasks":
        return source
    source = re.sub(r"\bdjango\.tasks\b", FRAMEWORK, source)
    return re.sub(rf"\b({'|'.join(OLD_NAMES)})\b", lambda match: OLD_NAMES[match[0]], source)
