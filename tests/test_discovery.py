"""Which modules tasks and @periodic are found in: a project with an app whose tasks are in several."""

import json
import shutil
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from django_tasks_q.discovery import import_tasks

from .docs.projects import Project
from .test_checks import ours, tasks

SETTINGS = """
INSTALLED_APPS += ["django_tasks_q", "shop"]
TASKS = {
    "default": {
        "BACKEND": "django_tasks_q.backend.TasksQBackend",
        "QUEUES": [],
        "OPTIONS": {"modules": ["tasks", "jobs", "reports.nightly"]},
    },
}
"""
PERIODIC = """
from django_tasks_q import every, periodic, task

@periodic(every(days=36_500))
@task
def tidy(): ...
"""
RAISES = "raise RuntimeError('It is not to be imported.')\n"
FOUND = [
    "shop.tasks",
    "shop.jobs",
    "shop.jobs.deep",
    "shop.jobs.deep.inner",
    "shop.jobs.other",
    "shop.reports.nightly",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    Project(folder).shell("django-admin startproject mysite")
    project = Project(folder / "mysite")
    project.add("mysite/settings.py", SETTINGS)
    for name in ("", "jobs/", "jobs/deep/", "reports/"):
        project.add(f"shop/{name}__init__.py", "\n")
    for name in ("tasks", "jobs/deep/inner", "jobs/other", "reports/nightly"):
        project.add(f"shop/{name}.py", PERIODIC)
    for name in ("jobs/_private", "jobs/tests", "jobs/test_other", "jobs/conftest", "reports/other", "other"):
        project.add(f"shop/{name}.py", RAISES)
    project.manage("migrate")
    return project.folder


@pytest.fixture
def project(shop: Path, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(shop, tmp_path / "mysite")))


@pytest.mark.only_on("sqlite")
def test_migrate_and_sync_find_them_in_modules_and_in_the_packages_that_are_named(project: Project) -> None:
    said = project.manage("tasks", "schedules", "sync")
    assert said == f"Already in sync.\nLooked at: {', '.join(FOUND)}, the settings\n"
    listed = json.loads(project.manage("tasks", "schedules", "list", "--json"))
    assert sorted(row["name"] for row in listed) == [
        "shop.jobs.deep.inner.tidy", "shop.jobs.other.tidy", "shop.reports.nightly.tidy", "shop.tasks.tidy",
    ]  # fmt: skip


@pytest.mark.only_on("sqlite")
def test_so_does_a_worker(project: Project) -> None:
    project.add("shop/jobs/newer.py", PERIODIC)
    project.manage("taskworker", "--burst", "--concurrency", "1")
    assert "shop.jobs.newer.tidy" in project.manage("tasks", "schedules", "list")


@pytest.mark.only_on("sqlite")
def test_one_that_raises_is_named_and_nothing_is_removed(project: Project) -> None:
    (project.folder / "shop/jobs/other.py").write_text(RAISES)
    # A script that does not ask whether it is run.
    (project.folder / "shop/reports/nightly.py").write_text("import sys\nsys.exit('It has done its work.')\n")
    code, said = project.try_shell("python manage.py tasks schedules sync")
    assert code == 1
    assert "The tasks of shop.jobs.other cannot be imported." in said
    assert "RuntimeError: It is not to be imported." in said
    assert "SystemExit: It has done its work." in said
    assert said.endswith("Could not be imported, so nothing was removed: shop.jobs.other, shop.reports.nightly\n")
    listed = json.loads(project.manage("tasks", "schedules", "list", "--json"))
    assert {row["state"] for row in listed} == {"ACTIVE"}


@pytest.mark.django_db(databases=["default", "queue"])
def test_names_that_no_app_has_draw_a_warning() -> None:
    with override_settings(TASKS=tasks(modules=["taks", "worker.tasks", "worker.taks", "no.such"])):
        messages = [message for message in run_checks() if message.id == "tasksq.W011"]
    assert [message.msg.split('"')[7] for message in messages] == ["taks", "worker.taks", "no.such"]


@pytest.mark.django_db(databases=["default", "queue"])
@pytest.mark.parametrize("wrong", ["tasks", ["tasks.py:"], ["shop/jobs"], [""], [1], {"tasks": 1}, None])
def test_what_is_no_list_of_names_is_refused(wrong: object) -> None:
    with override_settings(TASKS=tasks(modules=wrong)):
        message = ours(run_checks())["tasksq.E002"]
    assert '["tasks", "jobs.nightly"]' in str(message.hint)


def test_the_modules_of_all_backends_are_looked_at() -> None:
    second = tasks(modules=["worker.tasks"])["default"]
    with override_settings(TASKS={**tasks(), "second": second, "wrong": tasks(modules="x")["default"]}):
        assert import_tasks().imported == ("analyser.tasks", "tests.tasks", "tests.worker.tasks")
    with override_settings(TASKS=tasks(modules=[])):
        assert import_tasks().imported == ()
