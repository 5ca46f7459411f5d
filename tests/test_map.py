"""The table of CONTRIBUTING.md that says where things are."""

import re
from pathlib import Path

import pytest

import django_tasks_q

PACKAGE = Path(django_tasks_q.__file__).parent
ROW = re.compile(r"^\| (.+) \| `([\w/]+\.py)` \| `(\w+)` \|$", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    text = PACKAGE.with_name("CONTRIBUTING.md").read_text()
    _before, _heading, section = text.partition("\n## Where things are\n")
    return ROW.findall(section.partition("\n## ")[0])


def test_there_is_a_map() -> None:
    assert len(rows()) >= 15


@pytest.mark.parametrize(("what", "path", "name"), rows())
def test_each_thing_is_where_the_map_says(what: str, path: str, name: str) -> None:
    file = PACKAGE / path
    assert file.is_file(), f"{what} has moved: CONTRIBUTING.md says {path}"
    assert re.search(rf"\b{name}\b", file.read_text()), f"{path} has no {name} any more"
