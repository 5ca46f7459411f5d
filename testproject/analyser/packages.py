"""The packages that are really installed, found by what their distributions declare; nothing is imported."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

__all__ = ["Package", "UnknownPackage", "find_package", "installed_packages", "read_source"]


class UnknownPackage(LookupError):
    """The name is not that of an installed top-level package."""


@dataclass(frozen=True, slots=True)
class Package:
    """An installed top-level package or module, and the distribution that brought it."""

    name: str
    distribution: str
    version: str

    def files(self) -> list[str]:
        """Return its Python files, relative to the directory that it is imported from."""
        places = _locations(self.name)
        return sorted({_relative(file, place) for place in places for file in _python_files(place)})


@cache
def installed_packages() -> dict[str, Package]:
    """Return what can be analysed, by name: the top-level packages of all distributions that have Python files."""
    found = {
        name: Package(name, distributions[0], metadata.version(distributions[0]))
        for name, distributions in metadata.packages_distributions().items()
        if name != "__pycache__" and _has_source(name)
    }
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def find_package(name: str) -> Package:
    """Return the installed package with this name. Raise UnknownPackage, for paths and submodules too."""
    package = installed_packages().get(name)
    if package is None:
        near = get_close_matches(name, installed_packages(), n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Give a name that one can import, such as 'django'."
        raise UnknownPackage(f"{name!r} is not an installed top-level package. {hint}")
    return package


def read_source(package: str, path: str) -> bytes:
    """Return a file of an installed package, by one of the paths that Package.files() gives.

    Raise FileNotFoundError if the package has no such file, or is not installed where this runs.
    """
    for location in _locations(package):
        # As it is written: some installers fill a package with symbolic links to elsewhere.
        file = location.parent / path
        if ".." not in file.parts and file.is_relative_to(location) and _is_source(file):
            return file.read_bytes()
    raise FileNotFoundError(f"The package {package!r} has no file {path!r}.")


def _has_source(name: str) -> bool:
    return any(next(_python_files(location), None) for location in _locations(name))


def _locations(name: str) -> list[Path]:
    """Return the directories of a package, or the one file of a module."""
    # With a dot in its name find_spec() would import the parent.
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(location) for location in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _python_files(location: Path) -> Iterator[Path]:
    candidates = location.rglob("*.py") if location.is_dir() else [location]
    return (file for file in candidates if _is_source(file))


def _is_source(file: Path) -> bool:
    return file.suffix == ".py" and file.is_file()


def _relative(file: Path, location: Path) -> str:
    return file.relative_to(location.parent).as_posix()
