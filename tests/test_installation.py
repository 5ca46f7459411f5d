"""Projects that have the backend in TASKS, and have forgotten the app in INSTALLED_APPS, or TASKS itself."""

import shutil
from pathlib import Path

import pytest
from django.test import TransactionTestCase, override_settings

from django_tasks_q.compat import FRAMEWORK, task_backends

from .docs.projects import Project

# One database is as good as another: nothing is asked of it.
pytestmark = pytest.mark.only_on("sqlite")

TASKS = """
TASKS = {"default": {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": []}}
"""
APP = """
INSTALLED_APPS += ["django_tasks_q"]
"""
OURS = """
from django_tasks_q import task

@task
def greet(name): ...
"""
FRAMEWORKS = OURS.replace("django_tasks_q", FRAMEWORK)
VIEWS = """
from django.http import HttpResponse
from .tasks import greet

def hello(request):
    return HttpResponse(greet.enqueue("you").id)
"""
URLS = """
from django.urls import path
from . import views

urlpatterns = [path("", views.hello)]
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects")
    Project(folder).shell("django-admin startproject mysite")
    return folder / "mysite"


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(template, tmp_path / "mysite")))


def check(project: Project, command: str = "check") -> tuple[int, str]:
    return project.try_shell(f"python manage.py {command}")


@pytest.mark.parametrize(
    ("tasks", "command"), [(OURS, "check"), (FRAMEWORKS, "migrate")], ids=["our decorator", "the framework's"]
)
def test_tasks_that_the_urls_import_without_the_app_fail_the_check(tasks: str, command: str, project: Project) -> None:
    project.add("mysite/settings.py", TASKS)
    project.add("mysite/tasks.py", tasks)
    project.add("mysite/views.py", VIEWS)
    (project.folder / "mysite/urls.py").write_text(URLS)
    code, said = check(project, command)
    assert code == 1
    assert "(tasksq.E008)" in said
    assert 'HINT: Add "django_tasks_q" to INSTALLED_APPS.' in said
    assert "Traceback" not in said


@pytest.mark.parametrize("imported", ["from . import tasks", "import django_tasks_q.backend"])
def test_so_do_tasks_that_models_import(imported: str, project: Project) -> None:
    project.add("mysite/settings.py", f"{TASKS}\nINSTALLED_APPS += ['mysite']")
    project.add("mysite/tasks.py", OURS)
    project.add("mysite/models.py", imported)
    code, said = check(project)
    assert code == 1
    assert said.count("(tasksq.E008)") == 1
    assert "Traceback" not in said


def test_a_script_that_enqueues_without_the_app_is_told(project: Project) -> None:
    project.add("mysite/settings.py", TASKS)
    project.add("mysite/tasks.py", OURS)
    code, said = check(project, "shell -c 'import mysite.tasks'")
    assert code == 1
    assert "(tasksq.E008)" in said


def test_who_silences_the_check_is_left_alone(project: Project) -> None:
    project.add("mysite/settings.py", f"{TASKS}\nSILENCED_SYSTEM_CHECKS = ['tasksq.E008']")
    project.add("mysite/tasks.py", OURS)
    assert check(project, "shell -c 'import mysite.tasks'")[0] == 0


def test_with_the_app_there_is_nothing_to_say(project: Project) -> None:
    project.add("mysite/settings.py", TASKS + APP)
    project.add("mysite/tasks.py", OURS)
    project.add("mysite/views.py", VIEWS)
    (project.folder / "mysite/urls.py").write_text(URLS)
    code, said = check(project)
    assert (code, "tasksq.E" in said, "tasksq.W008" in said) == (0, False, False)


def test_without_the_setting_one_is_warned_that_requests_run_tasks(project: Project) -> None:
    project.add("mysite/settings.py", APP)
    project.add("mysite/tasks.py", OURS)
    code, said = check(project)
    assert code == 0
    assert "(tasksq.W008)" in said
    assert "inside the request" in said
    project.add(
        "mysite/settings.py", TASKS.replace("django_tasks_q.backend.TasksQ", f"{FRAMEWORK}.backends.dummy.Dummy")
    )
    assert "tasksq" not in check(project)[1]


class LimitedTests(TransactionTestCase):
    """What Django's own test cases do: they limit the apps to those that they need."""

    available_apps = ("django.contrib.contenttypes",)

    def test_a_backend_that_is_made_meanwhile_is_installed(self) -> None:
        with override_settings(TASKS={"default": {"BACKEND": "django_tasks_q.backend.TasksQBackend"}}):
            assert task_backends["default"].queues == {"default"}
