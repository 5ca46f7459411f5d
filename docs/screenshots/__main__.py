"""Take the pictures of the admin in the documentation: python -m docs.screenshots [folder for them]

Needs Chromium (apt-get install chromium; CHROMIUM names another one) and Playwright (pip install playwright). A site
with a database of its own is set up in a temporary folder; a real worker runs its tasks, some of which fail; then each
page is photographed.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.chromium import PHONE, Complaints, find_chromium, launched

HERE = Path(__file__).resolve().parent
LIMIT = 60.0  # seconds, for anything that is waited for
CHROMIUM = os.environ.get("CHROMIUM", "chromium")
# It does not wait for the job that runs for ever.
WORKER = ("--name=web-1", "--concurrency=2", "--exclude-queues=bulk", "--shutdown-timeout=0")
WIDTH = 1360


def main(chromium: str, folder: Path) -> None:
    with ExitStack() as stack:
        site = environment(stack.enter_context(tempfile.TemporaryDirectory()))
        manage(site, "migrate", "--verbosity=0")
        port = free_port()
        stack.enter_context(running(site, "runserver", "--noreload", f"127.0.0.1:{port}"))
        stack.enter_context(running(site, "taskworker", *WORKER))
        failed = manage(site, "set_scene").strip()
        wait_for_server(port)
        browser = stack.enter_context(launched(chromium))
        for picture in pictures(failed):
            take(browser, picture, folder / f"admin-{picture.name}.png", f"127.0.0.1:{port}")


@dataclass(frozen=True)
class Picture:
    """What is to be taken. height: of the window; None takes the whole page."""

    name: str
    path: str
    height: int | None
    dark: bool = False
    phone: bool = False


def pictures(failed: str) -> Iterator[Picture]:
    yield Picture("dashboard", "", None)
    yield Picture("dashboard-dark", "", None, dark=True)
    yield Picture("dashboard-phone", "", PHONE["height"], phone=True)
    yield Picture("results", "result/", 860)
    yield Picture("result", f"result/{failed}/change/", 1150)
    yield Picture("result-phone", f"result/{failed}/change/", PHONE["height"], phone=True)
    yield Picture("failures", "result/failures/", 430)
    yield Picture("jobs", "job/?queue=default", 640)
    yield Picture("queues", "queue/", 480)
    yield Picture("workers", "worker/", 400)
    yield Picture("schedules", "schedule/", 760)
    yield Picture("schedule", "schedule/2/change/", 2400)
    yield Picture("results-dark", "result/?status=FAILED", 700, dark=True)
    yield Picture("queues-dark", "queue/", 480, dark=True)


def environment(place: str) -> dict[str, str]:
    """Return the environment of the site's processes."""
    found = {"DJANGO_SETTINGS_MODULE": "settings", "SCREENSHOTS_PLACE": place}
    return os.environ | found | {"PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parents[1])])}


def manage(site: Mapping[str, str], *arguments: str) -> str:
    """Run a management command; return what it printed."""
    command = [sys.executable, "-m", "django", *arguments]
    return subprocess.run(command, env=site, check=True, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def running(site: Mapping[str, str], *arguments: str) -> Iterator[None]:
    """Keep a management command running."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", "django", *arguments], env=site, **quiet)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def take(browser: Browser, picture: Picture, file: Path, host: str) -> None:
    """Photograph a page. Raise SystemExit where the browser complained about it."""
    size = PHONE if picture.phone else {"width": WIDTH, "height": picture.height or 800}
    context = browser.new_context(viewport=size, color_scheme="dark" if picture.dark else "light")
    page = context.new_page()
    complaints = Complaints(page, host)
    page.goto(f"http://{host}/admin/django_tasks_q/{picture.path}")
    page.screenshot(path=file, full_page=picture.height is None)
    context.close()
    if complaints:
        raise SystemExit("\n".join(complaints))
    sys.stdout.write(f"{file} ({file.stat().st_size // 1024} kB)\n")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_server(port: int) -> None:
    deadline = time.monotonic() + LIMIT
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if time.monotonic() > deadline:
            raise SystemExit(f"Waited {LIMIT:g} s in vain for the server.")
        time.sleep(0.1)


if __name__ == "__main__":
    if (found := find_chromium()) is None:
        raise SystemExit("There is no Chromium: apt-get install chromium, or name another in CHROMIUM.")
    main(found, Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "images")
