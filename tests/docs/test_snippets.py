"""What the documentation shows compiles, and runs where it says that it does."""

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from django_tasks_q.conf import find_problems

from ..needs import need_package
from ..waiting import LIMIT, wait_for
from .blocks import PAGES, ROOT, Block, blocks, page_name
from .projects import Project

ALL = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL if block.language == "python"]
SETTINGS = [block for block in PYTHON if block.file == "mysite/settings.py"]
# Pages that show a shop piece by piece; the README's is followed by another test.
SHOPS = [page for page in PAGES[1:] if any((block.file or "").startswith("shop/") for block in blocks(page))]
COMMAND = re.compile(r"manage\.py (.*)")
MODELS = """
class Order(models.Model):
    placed_at = models.DateTimeField(auto_now_add=True)
"""
# Each settings block of a page adds its backends to those before.
MERGED = "_backends = dict(TASKS)\n{code}\nTASKS = _backends | TASKS\n"


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles(block: Block) -> None:
    # A decorator alone shows what a line is changed to.
    alone = block.code.startswith("@") and block.code.count("\n") == 1
    compile(block.code + "def task(): ...\n" * alone, str(block), "exec")


@pytest.mark.parametrize("block", SETTINGS, ids=str)
def test_settings_are_valid(block: Block) -> None:
    _skip_without_packages(block.page)
    names = {"DATABASES": {"default": {"NAME": "db.sqlite3"}}, "INSTALLED_APPS": [], "TASKS": {}}
    exec(block.code, names)
    problems = [
        problem for backend in names["TASKS"].values() for problem in find_problems(backend.get("OPTIONS", {}))
    ]
    assert problems == []


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an app and the settings of the README, as a page begins with it."""
    folder = tmp_path_factory.mktemp("shop")
    Project(folder).shell("django-admin startproject mysite\ncd mysite\npython manage.py startapp shop")
    project = Project(folder / "mysite")
    project.add("mysite/settings.py", next(block for block in SETTINGS if block.page == ROOT / "README.md").code)
    project.add("shop/models.py", MODELS)
    project.shell("python manage.py makemigrations shop\npython manage.py migrate")
    return project.folder


@pytest.mark.project
@pytest.mark.only_on("sqlite")
@pytest.mark.parametrize("page", SHOPS, ids=page_name)
def test_a_page_works_as_a_whole(page: Path, shop: Path, tmp_path: Path) -> None:
    """Its files can be imported, its tests pass, its examples run, and so do the jobs that these enqueue."""
    _skip_without_packages(page)
    project = Project(shutil.copytree(shop, tmp_path / "mysite"))
    modules = _write_files(project, page)
    if "shop.models" in modules:
        project.shell("python manage.py makemigrations shop\npython manage.py migrate")
    project.manage("check")
    project.shell(
        "".join(f"DJANGO_SETTINGS_MODULE=mysite.settings python -c '{SET_UP}import {name}'\n" for name in modules)
    )
    if "shop.tests" in modules:
        project.manage("test", "shop")
    runs = [block for block in blocks(page) if block.runs]
    if runs:
        with _worker(project, tmp_path / "worker.log"):
            project.shell("".join(_run(project, number, block) for number, block in enumerate(runs)))
        project.manage("taskworker", "--burst", "--concurrency", "1")
        assert _statuses(project) <= {"SUCCESSFUL", "CANCELLED"}


def _skip_without_packages(page: Path) -> None:
    if "import sentry_sdk" in page.read_text():
        need_package("sentry_sdk")


SET_UP = "import django; django.setup(); "


def _write_files(project: Project, page: Path) -> list[str]:
    """Write what the page shows into its files; return the modules of the app."""
    modules = {}
    for block in blocks(page):
        if block.file == "mysite/settings.py":
            project.add(block.file, MERGED.format(code=block.code))
        elif block.file and block.file.startswith("shop/"):
            fresh = block.file not in modules and block.file in {"shop/tests.py", "shop/apps.py"}
            if fresh:
                # What startapp made is replaced, as the page shows the whole file.
                (project.folder / block.file).unlink()
            project.add(block.file, block.code)
            modules[block.file] = block.file.removesuffix(".py").replace("/", ".")
    return list(modules.values())


def _run(project: Project, number: int, block: Block) -> str:
    """Make a script of a block, and return the line that runs it."""
    script = project.folder / f"example_{number}.py"
    # A reader's machine is not busy with something else.
    code = block.code.replace("timeout=10)", f"timeout={LIMIT})")
    script.write_text(f"import django\ndjango.setup()\n{code}")
    return f"DJANGO_SETTINGS_MODULE=mysite.settings python {script.name}\n"


@contextmanager
def _worker(project: Project, log: Path) -> Iterator[None]:
    """Run a worker meanwhile, for the examples that wait for one."""
    worker = project.start("taskworker", "--concurrency", "1", output=log)
    try:
        wait_for(lambda: "is ready" in log.read_text(), "the worker to be ready")
        yield
    finally:
        worker.terminate()
        worker.wait()


def _statuses(project: Project) -> set[str]:
    written = project.manage(
        "shell",
        "-c",
        "from django_tasks_q.models import Result\nprint(*Result.objects.values_list('status', flat=True))",
    )
    return set(written.splitlines()[-1].split())


def _command_lines(block: Block) -> Iterator[list[str]]:
    """Yield the arguments of each manage.py of a block, as a shell or a JSON list has them."""
    for line in block.code.splitlines():
        for found in re.findall(r'\[.*"manage\.py".*\]', line):
            given = json.loads(found)
            yield given[given.index("manage.py") + 1 :]
        for found in COMMAND.findall("" if '"manage.py"' in line else line.split(" #")[0]):
            yield shlex.split(found)


COMMANDS = [
    pytest.param(arguments, id=f"{block} {' '.join(arguments)}")
    for block in ALL
    if block.language not in {"python", "text", "json", "console"}
    for arguments in _command_lines(block)
    if arguments
]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_commands_are_understood(arguments: list[str]) -> None:
    """Each command exists and takes these arguments. What it does is other tests' matter."""
    name, *rest = arguments
    if name in get_commands():
        command = _load(name)
        command.create_parser("manage.py", name).parse_args(rest)
    else:
        assert f"commands/{name}.py" in " ".join(block.file or "" for block in PYTHON)


def _load(name: str) -> BaseCommand:
    owner = get_commands()[name]
    return owner if isinstance(owner, BaseCommand) else load_command_class(owner, name)
