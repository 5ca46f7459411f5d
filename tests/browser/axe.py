"""axe-core, which finds what people with a handicap would stumble over. npm brings it; nothing of it is kept here."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from ..servers import MissingService

__all__ = ["axe_script", "violations"]

PACKAGE, FILE = "axe-core@4.14.1", "package/axe.min.js"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "django-tasks-q"
BAD = {"serious", "critical"}
# Django's own field for searches, whose label is a picture.
NOT_OURS = ["#searchbar"]
RUN = "([include, exclude]) => axe.run({include, exclude}, {resultTypes: ['violations']})"


@cache
def axe_script() -> str:
    """Return the script, fetched once and kept in the user's cache. Raise MissingService if npm cannot bring it."""
    kept = CACHE / f"{PACKAGE}.js"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as place:
            # In one step, because sessions may run side by side.
            _fetch(Path(place)).replace(kept)
    return kept.read_text()


def _fetch(place: Path) -> Path:
    if not (npm := shutil.which("npm")):
        raise MissingService(f"There is no npm, which brings {PACKAGE}.")
    done = subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=place, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise MissingService(f"npm could not bring {PACKAGE}: {done.stderr.strip()}")
    (archive,) = place.glob("*.tgz")
    with tarfile.open(archive) as files:
        files.extract(FILE, place, filter="data")
    return place / FILE


def violations(page: Page, within: str = "body") -> list[str]:
    """Return the serious violations in a part of the page, one text for each element."""
    page.wait_for_load_state()
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe_script())
    found = page.evaluate(RUN, [[within], NOT_OURS])
    bad = [rule for rule in found["violations"] if rule["impact"] in BAD]
    return [_describe(rule, node) for rule in bad for node in rule["nodes"]]


def _describe(rule: dict[str, Any], node: dict[str, Any]) -> str:
    return f"{rule['id']} ({rule['impact']}) at {' '.join(map(str, node['target']))}: {node['failureSummary']}"
