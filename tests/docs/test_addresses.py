"""The address of the project: one line of setup.cfg, with which all others begin."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest

from .blocks import PAGES, ROOT, page_name

SETUP = ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg")
ADDRESSES = dict(line.split(" = ") for line in SETUP["metadata"]["project_urls"].strip().splitlines())
HOME = ADDRESSES["Homepage"]
TEXTS = [*PAGES, ROOT / "SECURITY.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
# A link or picture in Markdown, inline or by a reference; and one in HTML.
TARGET = re.compile(r"\]\(<?([^)>\s]+)|^\[[^\]]+\]: (\S+)|(?:href|src)=\"([^\"]+)\"", re.M)
# As long as the project has no address, this host, which nobody can have, is its placeholder.
PLACEHOLDER = re.compile(r"example\.org/[^\s)>'\"`|]*")
IN_REPOSITORY = re.compile(rf"{re.escape(HOME)}/(?:blob|raw)/main/([^#\s)>'\"]+)")


def targets(text: str) -> list[str]:
    return ["".join(found) for found in TARGET.findall(text)]


def test_the_readme_has_no_relative_link() -> None:
    """It is shown by an index too, where nothing else of the repository is."""
    readme = (ROOT / "README.md").read_text()
    assert [target for target in targets(readme) if not target.startswith("https://")] == []
    # And each name that is used as a link has its address.
    defined = {name.lower() for name in re.findall(r"^\[([^\]]+)\]: ", readme, re.M)}
    prose = re.sub(r"```.*?```|`[^`]*`|^\[[^\]]+\]: .*?$", "", readme, flags=re.S | re.M)
    assert {name.lower() for name in re.findall(r"(?<!\!)\[([^\]]+)\](?![(])", prose)} == defined


@pytest.mark.parametrize("page", TEXTS, ids=page_name)
def test_no_placeholder_is_left_over(page: Path) -> None:
    """They are all replaced at once, by the line in CONTRIBUTING.md."""
    found = [f"https://{address}" for address in PLACEHOLDER.findall(page.read_text())]
    assert [address for address in found if not re.match(rf"{re.escape(HOME)}(?![\w-])", address)] == []


@pytest.mark.parametrize("page", [*TEXTS, ROOT / "setup.cfg"], ids=page_name)
def test_addresses_in_the_repository_lead_somewhere(page: Path) -> None:
    found = IN_REPOSITORY.findall(page.read_text())
    assert [path for path in found if not (ROOT / path).exists()] == []
    assert found or page.name not in {"README.md", "setup.cfg"}
