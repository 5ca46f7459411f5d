"""The tutorial, followed to the letter in an empty folder."""

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.visitors import Visitor
from tests.waiting import LIMIT, wait_for

from .blocks import ROOT, Block, blocks
from .projects import Project

pytestmark = pytest.mark.only_on("sqlite")

TUTORIAL = blocks(ROOT / "docs" / "tutorial" / "first-steps.md")
NAMED = re.compile(r"(?:# |<!-- )([\w./-]+\.(?:py|html))")
APPENDED = ("settings.py", "urls.py")
PASSWORD = "for tests only"


@pytest.mark.project
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    project = begin(tmp_path)
    with running(project, "runserver", "--noreload", address := free_address()):
        visitor = Visitor(f"http://{address}/")
        wait_for(lambda: answers(visitor), "the site")

        counted = visitor.submit("", "", text="The cat, the dog and the elephant")
        assert "READY" in visitor.get(counted)
        with running(project, "taskworker"):
            wait_for(lambda: "7 words. The longest is “elephant”." in visitor.get(counted), "the answer")
            failed = visitor.submit("", "", text="???")
            wait_for(lambda: "FAILED" in visitor.get(failed), "the failure")

        mend(project)
        with running(project, "taskworker", "--reload"):
            retry_in_admin(visitor, failed.split("/")[-2])
            wait_for(lambda: "0 words" in visitor.get(failed), "the retry")
            assert run_later(project) == "3"


def begin(folder: Path) -> Project:
    """Make the project, as far as the first worker."""
    Project(folder).shell(next(block.code for block in TUTORIAL if "startproject" in block.code))
    project = Project(folder / "mysite")
    for file, versions in files().items():
        write(project, file, versions[0])
    project.environment["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    project.manage("migrate")
    project.manage("check", "--database", "default", "--fail-level", "WARNING")
    project.manage("createsuperuser", "--noinput", "--username", "admin", "--email", "admin@example.com")
    return project


def files() -> dict[str, list[str]]:
    """Return the versions of each file that the tutorial gives, in their order."""
    found: dict[str, list[str]] = {}
    for block in TUTORIAL:
        if block.language in ("python", "html") and (named := NAMED.match(block.code)):
            found.setdefault(named[1], []).append(block.code)
    return found


def write(project: Project, file: str, text: str) -> None:
    if not file.endswith(APPENDED):
        (project.folder / file).unlink(missing_ok=True)
    project.add(file, text)


def mend(project: Project) -> None:
    """Do what the tutorial does about the failure."""
    (again,) = [(file, versions) for file, versions in files().items() if len(versions) > 1]
    write(project, again[0], again[1][-1])


def retry_in_admin(visitor: Visitor, result_id: str) -> None:
    visitor.submit("admin/login/", "admin/login/?next=/admin/", username="admin", password=PASSWORD)
    results = "admin/django_tasks_q/result/"
    action = re.search(r'<option value="(\w+)">Retry selected results</option>', visitor.get(results))
    assert action, "There is no such action."
    visitor.submit(results, results, action=action[1], _selected_action=result_id)


def run_later(project: Project) -> str:
    """Do what the tutorial does in the shell; return how many words were counted."""
    (block,) = [block for block in TUTORIAL if block.runs]
    *before, last = shortened(block).splitlines()
    return project.manage("shell", "-v", "0", "-c", "\n".join([*before, f"print({last}['count'])"])).strip()


def shortened(block: Block) -> str:
    assert "seconds=10" in block.code
    return block.code.replace("seconds=10", "seconds=1").strip()


@contextmanager
def running(project: Project, *arguments: str) -> Iterator[None]:
    """Run manage.py until the end of the context; show what it wrote where that was not its own wish."""
    log = project.folder / f"{arguments[0]}.log"
    process = project.start(*arguments, output=log)
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(LIMIT)
        process.kill()


def free_address() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def answers(visitor: Visitor) -> bool:
    try:
        return bool(visitor.get())
    except URLError:
        return False
