"""Dockerfiles, Compose files, Procfiles and units of the documentation are well formed, and belong together.

No container is started: what is looked at is what a reader would copy. That the commands exist is tested with all
others, in test_snippets.py.
"""

import json
import re
import shlex
from configparser import RawConfigParser
from typing import Any

import pytest
from django.core.management import load_command_class

from tests.needs import need_package

from .blocks import PAGES, ROOT, Block, blocks

yaml = need_package("yaml")
ALL = [block for page in PAGES for block in blocks(page)]
DOCKER = ROOT / "docs" / "how-to" / "docker.md"
INSTRUCTIONS = {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "CMD", "HEALTHCHECK", "EXPOSE", "ENTRYPOINT"}


def only(language: str, file: str) -> str:
    """Return the block of the page for Docker that names a file in its first line."""
    [code] = [block.code for block in blocks(DOCKER) if block.language == language and f"# {file}\n" in block.code]
    return code


def worker_options(command: list[str]) -> Any:
    """Return what taskworker makes of its arguments."""
    parser = load_command_class("django_tasks_q", "taskworker").create_parser("manage.py", "taskworker")
    return parser.parse_args(command[command.index("taskworker") + 1 :])


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s?", text)
    assert found, text
    return int(found[1])


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "docker"], ids=str)
def test_dockerfiles_are_well_formed(block: Block) -> None:
    for line in block.code.splitlines():
        word, _, rest = line.partition(" ")
        assert word in INSTRUCTIONS | {"#"}, line
        if word == "CMD":
            assert all(isinstance(item, str) for item in json.loads(rest)), "a list, so that signals arrive"


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "yaml"], ids=str)
def test_yaml_is_well_formed(block: Block) -> None:
    assert list(yaml.safe_load_all(block.code))


@pytest.mark.parametrize("block", [block for block in ALL if block.language == "ini"], ids=str)
def test_a_unit_gives_the_worker_time_to_stop(block: Block) -> None:
    unit = RawConfigParser(strict=True)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(block.code)
    if unit.has_section("Service"):
        service = unit["Service"]
        assert worker_options(shlex.split(service["ExecStart"])).shutdown_timeout < seconds(service["TimeoutStopSec"])
        assert service["KillMode"] == "mixed"


def test_services_of_compose_wait_for_the_migrations() -> None:
    services = yaml.safe_load(only("yaml", "compose.yaml"))["services"]
    assert services["migrate"]["command"] == ["python", "manage.py", "migrate"]
    assert services["migrate"]["depends_on"]["db"]["condition"] == "service_healthy"
    assert "healthcheck" in services["db"]
    for name in ("web", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_compose_gives_the_worker_time_to_stop() -> None:
    worker = yaml.safe_load(only("yaml", "compose.yaml"))["services"]["worker"]
    options = worker_options(worker["command"])
    assert options.shutdown_timeout < seconds(worker["stop_grace_period"])
    assert (options.concurrency, options.log_format) == (4, "json")
    assert worker["healthcheck"]["test"][:4] == ["CMD", "python", "manage.py", "tasks"]


def test_the_containers_have_the_settings_that_they_read(monkeypatch: pytest.MonkeyPatch) -> None:
    code = next(block.code for block in blocks(DOCKER) if block.file == "mysite/settings.py")
    compose = yaml.safe_load(only("yaml", "compose.yaml"))
    given = {name for name in compose["services"]["worker"]["environment"] if name.startswith("DATABASE_")}
    file = dict(line.split("=", 1) for line in only("text", "/etc/mysite/environment").splitlines()[1:])
    read = set(re.findall(r'os\.environ\.get\("(\w+)"', code))
    assert given <= read
    assert file.keys() - {"DJANGO_SETTINGS_MODULE"} <= read
    for name in given:
        monkeypatch.setenv(name, "from the container")
    names: dict[str, Any] = {"DATABASES": {"default": {}}}
    exec(code, names)
    assert names["DATABASES"]["default"]["HOST"] == names["DATABASES"]["default"]["PASSWORD"] == "from the container"
    assert names["DATABASES"]["default"]["NAME"] == compose["services"]["db"]["environment"]["POSTGRES_DB"]


def test_the_procfile_migrates_first_and_stops_in_time() -> None:
    lines = only("text", "Procfile").splitlines()[1:]
    processes = dict(re.fullmatch(r"(\w+): (.+)", line).groups() for line in lines)  # type: ignore[union-attr, misc]
    assert processes["release"] == "python manage.py migrate"
    assert worker_options(shlex.split(processes["worker"])).shutdown_timeout < 30
    assert "web" in processes


def test_requirements_name_the_package_and_an_extra_of_it() -> None:
    setup = RawConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = only("text", "requirements.txt").splitlines()[1:]
    [ours] = [line for line in lines if line.startswith(setup["metadata"]["name"])]
    [extra] = re.findall(r"\[(\w+)\]", ours)
    assert extra in setup["options.extras_require"]
