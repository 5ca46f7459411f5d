from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from analyser.packages import installed_packages
from config import settings as site

MakePackage = Callable[[dict[str, str]], Path]


@pytest.fixture
def on_site(settings: Any, tmp_path: Path) -> Path:
    """Make the test's settings those of the site, but for the database; return its data directory."""
    for name in ("ROOT_URLCONF", "MIDDLEWARE", "CONTENT_SECURITY_POLICY"):
        setattr(settings, name, getattr(site, name))
    settings.DATA_DIR = tmp_path
    return tmp_path


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePackage]:
    """Install a package "sample" with these files, and return the directory that it is imported from."""
    place = tmp_path / "site-packages"

    def make(files: dict[str, str]) -> Path:
        for path, text in files.items():
            file = place / "sample" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        declare(place)
        monkeypatch.syspath_prepend(str(place))
        installed_packages.cache_clear()
        return place

    yield make
    installed_packages.cache_clear()


def declare(place: Path) -> None:
    """Write what an installer writes beside a package."""
    declaration = place / "sample_dist-1.2.dist-info"
    declaration.mkdir()
    (declaration / "METADATA").write_text("Metadata-Version: 2.1\nName: sample-dist\nVersion: 1.2\n")
    (declaration / "top_level.txt").write_text("sample\n")
