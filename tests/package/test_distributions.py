"""The source distribution and the wheel, built as for an index; see CONTRIBUTING.md. They run with tox -e package."""

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

import django_tasks_q
from tests.docs.blocks import ROOT
from tests.docs.test_addresses import HOME

# What a repository has and nobody who unpacks an archive needs.
NOT_SHIPPED = {".gitignore"}
# What the build makes.
MADE = re.compile(r"PKG-INFO|setup\.cfg|django_tasks_q\.egg-info/.*")
# A project without the admin, which is strict about warnings.
SITE = """
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_tasks_q"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TASKS={"default": {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": []}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
)

import django
from django.core.management import call_command
from django.template.loader import get_template
from django.utils.translation import gettext, override

django.setup()
call_command("migrate", verbosity=0)
get_template("admin/django_tasks_q/includes/buttons.html")
with override("de"):
    print(django.apps.apps.get_app_config("django_tasks_q").path, gettext("schedule"))
"""


def run(*command: str, folder: Path) -> str:
    """Run a program of this Python; return what it wrote."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def tracked() -> set[str]:
    """Return the files of the repository that there are."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in done.stdout.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both, the wheel from what the source distribution has; the log is beside them."""
    # A copy, so that nothing that lies about gets in, and nothing of the build is left.
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    (folder / "log").write_text(
        run("-m", "build", "--no-isolation", "--outdir", str(folder), str(source), folder=folder)
    )
    return folder


@pytest.fixture(scope="module")
def wheel(output: Path) -> Path:
    [path] = output.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(output: Path) -> Path:
    [path] = output.glob("*.tar.gz")
    return path


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/METADATA")]
        return message_from_string(archive.read(name).decode())


def test_the_build_has_no_complaints(output: Path) -> None:
    complaints = [
        line for line in (output / "log").read_text().splitlines() if re.search(r"(?i)warning|deprecat", line)
    ]
    assert complaints == []


def test_an_index_would_take_them(wheel: Path, sdist: Path) -> None:
    run("-m", "twine", "check", "--strict", str(wheel), str(sdist), folder=wheel.parent)


def test_the_wheel_has_what_belongs_there(wheel: Path) -> None:
    options = ("--config", str(ROOT / "setup.cfg"), "--toplevel", "django_tasks_q")
    run("-m", "check_wheel_contents", *options, str(wheel), folder=wheel.parent)
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == {name for name in tracked() if name.startswith("django_tasks_q/")}


def test_the_source_distribution_has_everything(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        found = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    expected = tracked() - NOT_SHIPPED
    assert expected - found == set()
    assert {name for name in found - expected if not MADE.fullmatch(name)} == set()


def test_the_metadata_is_that_of_the_project(metadata: Message) -> None:
    assert metadata["Version"] == django_tasks_q.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Author"]
    addresses = dict(value.split(", ") for value in metadata.get_all("Project-URL", []))
    assert {"Homepage", "Documentation", "Changelog", "Source", "Issues", "Security"} == set(addresses)
    assert all(address.startswith(HOME) for address in addresses.values())


def test_no_requirement_is_named_twice(metadata: Message) -> None:
    requirements = metadata.get_all("Requires-Dist", [])
    assert len(requirements) == len(set(requirements))


def test_what_is_installed_from_the_wheel_works(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "site"
    run("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(place), str(wheel), folder=tmp_path)
    (tmp_path / "site_of_it.py").write_text(f"import sys\nsys.path.insert(0, {str(place)!r})\n{SITE}")
    assert run("-W", "error", "site_of_it.py", folder=tmp_path).split() == [str(place / "django_tasks_q"), "Zeitplan"]
