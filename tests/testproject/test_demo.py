"""The demo as one runs it: a process, with a worker below it, on a database of its own."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ..visitors import Visitor
from ..waiting import LIMIT, wait_for
from .conftest import declare

pytestmark = [pytest.mark.only_on("sqlite"), pytest.mark.project]

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery staple"


class Demo:
    """`manage.py demo` in a terminal of its own: started without a controlling one, its output in a file."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self.output_file = directory / f"demo-{uuid.uuid4()}.txt"
        kept = {
            name: value for name, value in os.environ.items() if name not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}
        }
        with self.output_file.open("wb") as output:
            self.process = psutil.Popen(
                [sys.executable, str(ROOT / "testproject" / "manage.py"), "demo", *arguments],
                cwd=ROOT,
                env={**kept, "TESTPROJECT_DATA_DIR": str(directory), "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.output_file.read_text()

    def wait(self) -> int:
        """Return the exit code."""
        code: int = self.process.wait(LIMIT)
        return code

    def worker(self) -> Any:
        """Return the worker's process, as soon as its children are there."""
        return wait_for(self._find_worker, "the demo's worker")

    def _find_worker(self) -> Any:
        assert self.process.is_running(), self.output
        found = [child for child in self.process.children() if "taskworker" in child.cmdline()]
        return found[0] if found and found[0].children() else None


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Any]:
    started: list[Demo] = []

    def start(*arguments: str, **environment: str) -> Demo:
        started.append(Demo(tmp_path, *arguments, **environment))
        return started[-1]

    yield start
    for item in started:
        sys.stderr.write(item.output)
        for process in [*item.process.children(recursive=True), item.process] if item.process.is_running() else []:
            process.kill()
        item.process.wait(LIMIT)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(map(_is_there, processes))


def _is_there(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_analyses_a_package_and_can_be_run_again(demo: Any, tmp_path: Path) -> None:
    for _ in range(2):
        run = demo("--package", "pluggy", "--concurrency", "1")
        assert run.wait() == 0
        files = len(list(Path(sys.modules["pluggy"].__path__[0]).rglob("*.py")))
        assert f"pluggy: {files} of {files} files (100 %)" in run.output
        assert re.search(rf"files +{files}\n", run.output)
        assert re.search(r"failed jobs +0\n", run.output)
        assert re.search(r"from the worker's start to the last result: [\d,]+ jobs a second", run.output)
        assert "demo --serve" in run.output
    assert (tmp_path / "db.sqlite3").exists()
    assert "succeeded" in (tmp_path / "worker.log").read_text()


def test_a_file_that_does_not_parse_is_no_failure(demo: Any, tmp_path: Path) -> None:
    package = tmp_path / "site-packages" / "sample"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def f(:\n")
    declare(package.parent)
    run = demo("--package", "sample", PYTHONPATH=str(package.parent))
    assert run.wait() == 0
    assert re.search(r"not parsed +1\n", run.output)
    assert "sample/__init__.py: SyntaxError: invalid syntax (line 1)" in run.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--package", "/etc"], "'/etc' is not an installed top-level package"),
        (["--package", "djnago"], "Did you mean 'django'?"),
        (["--concurrency", "0"], "'0' is not a whole number from 1 to 1000"),
        (["--port", "-1"], "'-1' is not a whole number from 0 to 65535"),
        (["--port", "65536"], "'65536' is not a whole number from 0 to 65535"),
    ],
)
def test_wrong_options_are_refused(demo: Any, arguments: list[str], message: str) -> None:
    run = demo(*arguments)
    assert run.wait() != 0
    assert message in run.output
    assert "Traceback" not in run.output


def test_says_why_it_failed_when_its_worker_is_killed(demo: Any) -> None:
    run = demo("--concurrency", "1")
    worker = run.worker()
    worker.kill()
    assert run.wait() == 1
    assert re.search(r"The worker ended with exit code -9, and \d+ jobs are left", run.output)
    assert "Traceback" not in run.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_demo_stops_its_worker(demo: Any, number: signal.Signals) -> None:
    run = demo("--concurrency", "1")
    worker = run.worker()
    below = [worker, *worker.children(recursive=True)]
    run.process.send_signal(number)
    assert run.wait() == 130
    assert all_gone([worker])
    wait_for(lambda: all_gone(below), "the worker's children to be gone")
    assert "Interrupted. The worker has stopped" in run.output
    assert "Traceback" not in run.output


def test_serves_the_site_with_a_worker_until_it_is_told_to_stop(demo: Any) -> None:
    run = demo("--serve", "--port", "0", "--concurrency", "1", DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    wait_for(lambda: "Stop with Ctrl-C" in run.output, "the site")
    assert PASSWORD not in run.output
    visitor = Visitor(re.search(r"Site: +(\S+)", run.output)[1])

    report = visitor.submit("", "reports/", package="pluggy")
    wait_for(lambda: ">Done</span>" in visitor.get(report), "the report to be done")
    admin = visitor.submit("admin/login/", "admin/login/?next=/admin/", username="admin", password=PASSWORD)
    assert admin.endswith("/admin/")
    assert "Site administration" in visitor.get(admin)
    assert visitor.headers["Content-Security-Policy"].startswith("default-src 'self'")

    below = run.process.children(recursive=True)
    run.process.send_signal(signal.SIGTERM)
    assert run.wait() == 0
    wait_for(lambda: all_gone(below), "the processes of the demo to be gone")


def test_serve_prints_a_new_password_and_tells_of_a_port_that_is_taken(demo: Any) -> None:
    run = demo("--serve", "--port", "0", "--package", "pluggy")
    wait_for(lambda: "Stop with Ctrl-C" in run.output, "the site")
    assert re.search(r"Report: +http://127.0.0.1:\d+/reports/1/", run.output)
    port = re.search(r"Site: +http://127.0.0.1:(\d+)/", run.output)[1]
    assert len(re.search(r"Password: (\S+)", run.output)[1]) >= 16

    other = demo("--serve", "--port", port)
    assert other.wait() == 1
    assert f"Port {port} cannot be used: Address already in use" in other.output
    run.process.send_signal(signal.SIGINT)
    assert run.wait() == 0
