"""Take the pictures of the admin in the documentation: python docs/screenshots [folder for them]

Needs Chromium (apt-get install chromium; CHROMIUM names another one). A site with a database of its own is set up in a
temporary folder; a real worker runs its tasks, some of which fail; then each page is photographed.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIMIT = 60.0  # seconds, for anything that is waited for
CHROMIUM = os.environ.get("CHROMIUM", "chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--enable-logging=stderr",
)  # fmt: skip
# It does not wait for the job that runs for ever.
WORKER = ("--name=web-1", "--concurrency=2", "--exclude-queues=bulk", "--shutdown-timeout=0")
# Chromium's own number for it.
DARK = "--blink-settings=preferredColorScheme=0"


def main(folder: Path) -> None:
    with ExitStack() as stack:
        site = environment(stack.enter_context(tempfile.TemporaryDirectory()))
        manage(site, "migrate", "--verbosity=0")
        port = free_port()
        stack.enter_context(running(site, "runserver", "--noreload", f"127.0.0.1:{port}"))
        stack.enter_context(running(site, "taskworker", *WORKER))
        failed = manage(site, "set_scene").strip()
        wait_for_server(port)
        for name, path, height, dark in pictures(failed):
            take(folder / f"admin-{name}.png", f"http://127.0.0.1:{port}/admin/django_tasks_q/{path}", height, dark)


def pictures(failed: str) -> Iterator[tuple[str, str, int, bool]]:
    """Yield what is to be taken: the name, the address, the height, and whether in the dark."""
    yield "results", "result/", 860, False
    yield "result", f"result/{failed}/change/", 1150, False
    yield "jobs", "job/?queue=default", 560, False
    yield "queues", "queue/", 480, False
    yield "workers", "worker/", 400, False
    yield "results-dark", "result/?status=FAILED", 700, True
    yield "queues-dark", "queue/", 480, True


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


def take(file: Path, url: str, height: int, dark: bool) -> None:
    """Photograph a page. Raise SystemExit where the browser complained about it."""
    flags = [*FLAGS, *([DARK] if dark else []), f"--window-size=1360,{height}", f"--screenshot={file}"]
    with tempfile.TemporaryDirectory() as profile:
        command = [CHROMIUM, *flags, f"--user-data-dir={profile}", url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
    if complaints := [line for line in done.stderr.splitlines() if "CONSOLE" in line]:
        raise SystemExit("\n".join([url, *complaints]))
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
    if not shutil.which(CHROMIUM):
        raise SystemExit(f"There is no {CHROMIUM}: apt-get install chromium, or name another in CHROMIUM.")
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "images")
