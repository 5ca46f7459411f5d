from pathlib import Path

import pytest
from analyser.packages import Package, UnknownPackage, find_package, installed_packages, read_source

from .conftest import MakePackage

REFUSED = [
    "",
    "/",
    "/etc",
    "..",
    ".",
    "../django",
    "django/db",
    "django.db",
    "os",
    "json",
    "__pycache__",
    "sample\0",
    "Django",
]


def test_the_installed_packages_are_known_by_their_distributions() -> None:
    package = installed_packages()["django"]
    assert package == find_package("django")
    assert package.distribution == "Django"
    assert {"pytest", "asgiref", "sqlparse"} <= set(installed_packages())
    assert all(name.isidentifier() for name in installed_packages())


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_is_not_an_installed_top_level_package(name: str) -> None:
    with pytest.raises(UnknownPackage, match="is not an installed top-level package"):
        find_package(name)


def test_names_the_nearest_package() -> None:
    with pytest.raises(UnknownPackage, match="Did you mean 'django'"):
        find_package("djnago")


def test_files_are_relative_to_where_the_package_is_imported_from(make_package: MakePackage) -> None:
    make_package({"__init__.py": "", "inner/b.py": "", "inner/deep/a.py": "", "notes.txt": "", "c.pyc": ""})
    package = find_package("sample")
    assert package == Package("sample", "sample-dist", "1.2")
    assert package.files() == ["sample/__init__.py", "sample/inner/b.py", "sample/inner/deep/a.py"]


def test_a_module_is_its_only_file() -> None:
    assert find_package("pytest_timeout").files() == ["pytest_timeout.py"]
    assert b"def pytest_addoption" in read_source("pytest_timeout", "pytest_timeout.py")


def test_nothing_is_imported(make_package: MakePackage) -> None:
    make_package({"__init__.py": "raise SystemExit('imported')"})
    path = find_package("sample").files()[0]
    assert read_source("sample", path) == b"raise SystemExit('imported')"


def test_a_package_of_symbolic_links_is_read(make_package: MakePackage, tmp_path: Path) -> None:
    place = make_package({"__init__.py": ""})
    elsewhere = tmp_path / "cache.py"
    elsewhere.write_text("linked = 1")
    (place / "sample" / "linked.py").symlink_to(elsewhere)
    assert read_source("sample", "sample/linked.py") == b"linked = 1"


@pytest.mark.parametrize(
    "path",
    [
        "sample/../secret.py",
        "/etc/passwd",
        "{place}/secret.py",
        "secret.py",
        "sample/notes.txt",
        "sample/gone.py",
        "sample",
    ],
)
def test_reads_only_the_python_files_of_the_package(make_package: MakePackage, path: str) -> None:
    place = make_package({"__init__.py": "", "notes.txt": ""})
    (place / "secret.py").write_text("")
    with pytest.raises(FileNotFoundError, match="The package 'sample' has no file"):
        read_source("sample", path.format(place=place))


@pytest.mark.parametrize("package", ["django.db", "/etc", "..", "nothing_of_that_name"])
def test_reads_from_packages_only(package: str) -> None:
    with pytest.raises(FileNotFoundError):
        read_source(package, "passwd.py")
