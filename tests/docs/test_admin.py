"""The page on the admin: what it has a project add works in one that startproject has made."""

import re
from pathlib import Path

import pytest

from .blocks import ROOT, blocks
from .projects import Project

PAGE = ROOT / "docs" / "how-to" / "admin.md"
README = ROOT / "README.md"
LOOK = """
from django.contrib.auth.models import User
from django.test import Client
User.objects.create_superuser("admin")
client = Client(headers={"host": "localhost"})
client.force_login(User.objects.get())
print(client.get("/admin/").content.decode())
"""


@pytest.mark.project
@pytest.mark.only_on("sqlite")
def test_the_summary_is_on_the_index_page(tmp_path: Path) -> None:
    Project(tmp_path).shell("django-admin startproject mysite\ncd mysite\npython manage.py startapp shop")
    project = Project(tmp_path / "mysite")
    project.add(
        "mysite/settings.py", next(block for block in blocks(README) if block.file == "mysite/settings.py").code
    )
    [template] = [block for block in blocks(PAGE) if block.language == "html+django"]
    project.add("templates/admin/index.html", template.code)
    project.manage("migrate")
    assert "tasksq-summary" not in project.manage("shell", "-c", LOOK)
    [line] = re.findall(r'`(TEMPLATES\[0\]\["DIRS"\] = [^`]+)`', PAGE.read_text())
    project.add("mysite/settings.py", line)
    assert "tasksq-summary" in project.manage("shell", "-c", LOOK.replace('create_superuser("admin")', "first()"))
