"""The tests of a project that has nothing but this package, under both runners, without a line of plumbing."""

import configparser
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import pytest
from django.conf import settings

from ..docs.blocks import blocks
from ..docs.projects import Project
from .plugins import PLUGIN, plugin_arguments

ROOT = Path(__file__).parent.parent.parent
SCRATCH = Path(__file__).parent / "scratch"
SETTINGS = """
SECRET_KEY = "for tests only"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "django_tasks_q", "shop"]
DATABASES = {{"default": {database!r}}}
TASKS = {{"default": {{"BACKEND": "django_tasks_q.backend.TasksQBackend"}}}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
ROOT_URLCONF = "mysite.urls"
USE_TZ = True
"""
URLS = """
from django.urls import path

from shop.views import buy, status

urlpatterns = [path("buy/", buy), path("status/<uuid:id>/", status)]
"""
PYTEST = "[pytest]\nDJANGO_SETTINGS_MODULE = mysite.settings\nmarkers = needs_commits\nfilterwarnings = error\n"
PAGE = ROOT / "docs" / "how-to" / "testing.md"
PAGE_EXAMPLES = {"test_review.py": "(tasks_q)", "test_worker.py": "class WorkerTests"}
pytestmark = pytest.mark.only_on("sqlite", "postgresql")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.shell("django-admin startproject mysite .")
    database = dict(settings.DATABASES["default"])
    if settings.DATABASE == "sqlite":
        # As startproject has it: tests get a database in memory.
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}
    else:
        database |= {"NAME": f"{settings.DATABASE_NAME}_shop", "TEST": {"NAME": f"{settings.DATABASE_NAME}_shop"}}
    known = ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT", "TEST")
    given = {name: database[name] for name in known if name in database}
    (tmp_path / "mysite" / "settings.py").write_text(SETTINGS.format(database=given))
    (tmp_path / "mysite" / "urls.py").write_text(URLS)
    (tmp_path / "pytest.ini").write_text(PYTEST)
    shutil.copytree(SCRATCH, tmp_path / "shop")
    # What only another runner, or another database, can run of the page.
    for file, mark in PAGE_EXAMPLES.items():
        [code] = [block.code for block in blocks(PAGE) if mark in block.code and block.language == "python"]
        (tmp_path / "shop" / file).write_text(code)
    project.add("shop/__init__.py", "")
    return project


@pytest.mark.project
def test_manage_py_test(project: Project) -> None:
    modules = ["shop.tests"] if settings.DATABASE == "sqlite" else ["shop.tests", "shop.test_worker"]
    assert "OK" in project.manage("test", *modules)


@pytest.mark.project
def test_pytest(project: Project) -> None:
    chosen = ["-m", "not needs_commits"] if settings.DATABASE == "sqlite" else []
    given = [*plugin_arguments(), *chosen, "--deselect", "shop/tests.py::MemoryTests"]
    modules = ["shop/tests.py", "shop/test_fixtures.py", "shop/test_review.py"]
    project.shell("python " + shlex.join(["-m", "pytest", "-q", *given, *modules]))


def test_the_entry_point_names_the_plugin() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    name, _, path = setup["options.entry_points"]["pytest11"].strip().partition(" = ")
    assert (name, path) == ("tasks_q", PLUGIN)
    assert {"tasks_q", "tasks_q_immediate", "tasks_q_worker"} <= set(import_module(path).__all__)
