"""Every command of docs/reference/commands.md, run by a real shell in a project of its own, ends as the page says."""

import json
import re
import shlex
import shutil
import socket
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from ..management.test_schedules import BEAT
from ..waiting import wait_for
from .blocks import ROOT, Block, blocks
from .projects import Project

pytestmark = pytest.mark.only_on("sqlite")
PAGE = ROOT / "docs" / "reference" / "commands.md"
BLOCKS = blocks(PAGE)
COMMANDS = [block for block in BLOCKS if block.language == "sh"]
# The names of the page, and whose they are in the project.
FAILED = "01a1fc39-e48a-7a2e-8fc6-c90809a742b4"
RUNNING = "01a1fc39-fbc8-75d6-8ed5-06c32a4e00a2"
READY = "01a1fc39-fbc8-7f1d-be23-95e1cf045dc8"
WORKER = "web1-7e91d55f"
TASKS_OF = {FAILED: ("result", "charge"), RUNNING: ("job", "report"), READY: ("job", "send_receipt")}
# What the page says of these: one of several things was not done, or a problem was found.
ENDS_WITH_1 = (f"retry {FAILED} {RUNNING}", "health --max-age")
WITH_WORKER = ("tasks", "stats", "list", "show", "retry", "cancel", "workers", "health")
# One entry of TASKS is broken: none of the commands minds.
SETTINGS = """
TASKS["default"]["OPTIONS"] = {"heartbeat_interval": 0.5, "rescue_after": 5}
TASKS["gone"] = {"BACKEND": "does.not.exist"}
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {"shop": {"level": "INFO"}}}
"""
TASKS = """
import logging
import time

from django_tasks_q import cron, periodic, task


@task
def send_receipt(order_id):
    return order_id


@task
def send_newsletter(number): ...


@task(max_attempts=2)
def charge(order_id):
    logger = logging.getLogger("shop.tasks")
    logger.info("charging order %s", order_id)
    logging.getLogger("shop.payments").warning("no answer within 5 s")
    raise ConnectionError("the payment service does not answer")


@task
def report():
    while True:
        time.sleep(0.05)


@periodic(cron("0 3 * * *", tz="Europe/Rome"), name="nightly")
@task
def send_reports(): ...
"""
FIRST = """
from shop.tasks import charge, send_receipt
for number in (1, 2, 3):
    send_receipt.enqueue(number)
charge.enqueue(53)
"""
THEN = """
from datetime import timedelta
from django.utils import timezone
from django_tasks_q.models import Result
from shop.tasks import report, send_newsletter, send_receipt
Result.objects.filter(status="SUCCESSFUL").update(finished_at=timezone.now() - timedelta(days=1))
for number in (1, 2, 3):
    send_newsletter.using(queue_name="mail").enqueue(number)
send_receipt.using(queue_name="mail").enqueue(53)
for number in (4, 5):
    send_newsletter.using(queue_name="mail", run_after=timedelta(days=1)).enqueue(number)
report.enqueue()
"""
# A page's sample has other moments, numbers and names than a run.
VARIABLE = re.compile(
    r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
    r"|(?P<worker>web1-[0-9a-f]{8})"
    r"|(?P<moment>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:\d\d)"
    r"|(?P<number>\d[\d,.]*(?: (?:ms|s|min|h|d|B|KiB|MiB|GiB)\b)?)"
    r'|(?P<file>"/[^"]*")'
    r"|(?P<more>\.\.\.)"
    r"|(?P<blank>\s+)"
)
FORMS = {
    "uuid": r"[0-9a-f-]{36}",
    "worker": r"web1-[0-9a-f]{8}",
    "moment": r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?[+-]\d\d:\d\d",
    "number": r"\d[\d,.]*(?: (?:ms|s|min|h|d|B|KiB|MiB|GiB)\b)?",
    "file": r'"[^"]*"',
    "more": r"[\s\S]*?",
    "blank": r"\s+",
}


class Shop(Project):
    """The project of the page: its jobs, and a worker that runs one of them."""

    def ask(self, statement: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "db.sqlite3", timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def name_of(self, name: str) -> str:
        """Return what a name of the page is here."""
        if name == WORKER:
            [(found,)] = self.ask("SELECT id FROM django_tasks_q_worker WHERE status = 'ONLINE'")
            return str(found)
        table, task = TASKS_OF[name]
        query = f"SELECT id FROM django_tasks_q_{table} WHERE task_path = ?"
        [(found,)] = self.ask(query, f"shop.tasks.{task}")
        return str(uuid.UUID(found))

    def translated(self, script: str) -> str:
        return re.sub("|".join([WORKER, *TASKS_OF]), lambda found: self.name_of(found[0]), script)

    @contextmanager
    def worker(self) -> Iterator[Callable[[], None]]:
        """Have a worker run the report meanwhile; yields what kills it."""
        log = self.folder / "worker.log"
        process = self.start(
            "taskworker", "--queues", "default", "--concurrency", "2", "--name", "web1", "--no-scheduler", output=log
        )

        def kill() -> None:
            process.kill()
            process.wait()

        try:
            running = "SELECT 1 FROM django_tasks_q_job WHERE status = 'RUNNING'"
            wait_for(lambda: self.ask(running), f"the report to run: {log.read_text()}")
            yield kill
        finally:
            kill()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    Project(folder).shell("django-admin startproject mysite\ncd mysite\npython manage.py startapp shop")
    project = Project(folder / "mysite")
    readme = next(block for block in blocks(ROOT / "README.md") if block.file == "mysite/settings.py")
    project.add("mysite/settings.py", readme.code + SETTINGS)
    project.add("shop/tasks.py", TASKS)
    project.shell(
        "python manage.py migrate\npython manage.py flush --no-input\npython manage.py check\n"
        f"python manage.py shell -c {shlex.quote(FIRST)}\n"
        "python manage.py taskworker --burst --concurrency 2 --no-scheduler --name web1\n"
        "python manage.py tasks run-now --task shop.tasks.charge || true\n"
        "python manage.py taskworker --burst --concurrency 2 --no-scheduler --name web1\n"
        f"python manage.py shell -c {shlex.quote(THEN)}\n"
    )
    return project.folder


@pytest.fixture
def shop(original: Path, tmp_path: Path) -> Shop:
    return Shop(shutil.copytree(original, tmp_path / "mysite"))


def expected(block: Block) -> Block | None:
    """Return the block that shows what a command writes, if the page has one: it follows at once."""
    following = BLOCKS[BLOCKS.index(block) + 1 :][:1]
    between = PAGE.read_text().splitlines()[block.line + block.code.count("\n") + 1 : following[0].line - 1]
    shown = following and following[0].language in ("text", "json") and not any(between)
    return following[0] if shown else None


def form(text: str) -> re.Pattern[str]:
    """Return what a run writes where the page shows this."""
    text, parts, end = text.replace(" vm ", f" {socket.gethostname()} ").strip(), [], 0
    for found in VARIABLE.finditer(text):
        parts += [re.escape(text[end : found.start()]), FORMS[str(found.lastgroup)]]
        end = found.end()
    return re.compile("".join([*parts, re.escape(text[end:])]))


def fill_beat(shop: Shop) -> None:
    """Make the tables of django-celery-beat, with one task."""
    for name, columns in BEAT.items():
        types = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        shop.ask(f"CREATE TABLE django_celery_beat_{name} (id INTEGER PRIMARY KEY, {types})")
    shop.ask("INSERT INTO django_celery_beat_intervalschedule (every, period) VALUES (7, 'days')")
    shop.ask(
        "INSERT INTO django_celery_beat_periodictask (name, task, interval_id, args, kwargs, one_off, enabled) "
        "VALUES ('weekly', 'shop.reports', 1, '[]', '{}', 0, 1)"
    )


@pytest.mark.project
@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: f"{block.heading}-{block.line}")
def test_a_command_ends_as_the_page_says(block: Block, shop: Shop) -> None:
    fill_beat(shop)
    shown = expected(block)
    with shop.worker() if block.heading in WITH_WORKER else nullcontext() as kill:
        script = shop.translated(block.code)
        if shown and "(stale)" in shown.code:
            kill()
            wait_for(lambda: "(stale)" in shop.shell(script), "the worker to be taken for dead")
        code, written = shop.try_shell(script)
    assert code == int(any(f"tasks {start}" in block.code for start in ENDS_WITH_1)), written
    if shown and shown.language == "json":
        assert json.loads(written) == json.loads(shown.code)
    elif shown:
        assert form(shown.code).search(written.strip()), f"{shown}\n{shown.code}\n{written}"


# What the page has in its tables, and in none of its examples: the command, and its exit code.
OTHERS = {
    "stats --backend default --json": 0,
    "list --queue mail --task shop.tasks.send_receipt --limit 1": 0,
    "list --retried --metadata tenant=7": 0,
    f"show {FAILED} --logs --json": 0,
    "retry --all-failed --queue default --task shop.tasks.send_receipt": 1,
    "cancel --task shop.tasks.report --queue default --running --yes": 0,
    "run-now --task shop.tasks.send_newsletter --queue mail": 0,
    "run-now --task shop.tasks.send_newsletter": 1,
    f"move {READY} --to-queue bulk": 0,
    "enqueue shop.tasks.send_receipt --kwargs '{\"order_id\": 1}' --queue bulk --priority 5 --in 30s": 0,
    "enqueue shop.tasks.send_receipt --args '{}'": 2,
    "enqueue shop.tasks.nothing": 1,
    "prune": 0,
    "schedules show nightly": 0,
    "schedules next nightly --count 3": 0,
    "schedules run nightly": 0,
    "schedules pause nightly": 0,
    "schedules resume nightly": 0,
    "schedules sync": 0,
    "schedules show nobody": 1,
    "schedules import --from django-q2 --database default": 1,
    "workers --all": 0,
    f"workers stop {WORKER}": 0,
    "workers stop nobody": 1,
    "frobnicate": 2,
}


@pytest.mark.project
def test_what_the_page_shows_no_example_of(shop: Shop) -> None:
    with shop.worker():
        script = "".join(
            f"code=0; python manage.py tasks {command} || code=$?; echo; echo exit code $code\n"
            for command in map(shop.translated, OTHERS)
        )
        _, written = shop.try_shell(script)
    codes = [int(code) for code in re.findall(r"^exit code (\d+)$", written, re.M)]
    assert dict(zip(OTHERS, codes, strict=True)) == OTHERS, written
    assert "\nTraceback" not in written


def test_every_verb_action_and_option_of_the_page_is_run() -> None:
    run = [shlex.split(line) for block in COMMANDS for line in block.code.splitlines()]
    run += [["python", "manage.py", "tasks", *shlex.split(command)] for command in OTHERS]
    words = {(line[3], word) for line in run for word in line[4:]} | {(line[3], "") for line in run}
    for block in PAGE.read_text().split("\n## ")[2:]:
        title, text = block.split("\n", 1)
        verbs = title.split(" and ")
        assert all((verb, "") in words for verb in verbs), title
        wanted = re.findall(r"^\| `(--[\w-]+)` ", text, re.M)
        if title in ("schedules", "workers"):
            wanted += re.findall(r"^\| `([a-z]+)[^`]*` ", text, re.M)
        assert [name for name in wanted if not any((verb, name) in words for verb in verbs)] == [], title


TESTS = """
from django.core.management import CommandError, call_command
from django.test import TestCase, TransactionTestCase

from .tasks import send_receipt


class Refused(TestCase):
    def test_it_is(self):
        send_receipt.enqueue(1)
        with self.assertRaisesMessage(CommandError, "{refusal}"):
            call_command("taskworker", "--burst")


class Ran(TransactionTestCase):
    def test_it_is(self):
        result = send_receipt.enqueue(7)
        {ran}
"""
IN_MEMORY = (
    'with self.assertRaisesMessage(CommandError, "is in memory"):\n            call_command("taskworker", "--burst")'
)
IN_A_FILE = (
    'call_command("taskworker", "--burst", "--concurrency", "1", verbosity=0)\n'
    "        result.refresh()\n"
    "        self.assertEqual(result.return_value, 7)"
)


@pytest.mark.project
@pytest.mark.parametrize(("database", "ran"), [("", IN_MEMORY), ("test.sqlite3", IN_A_FILE)])
def test_a_worker_in_the_tests_of_a_project(database: str, ran: str, shop: Shop) -> None:
    shop.add("mysite/settings.py", f'DATABASES["default"]["TEST"] = {{"NAME": "{database}"}}\n' if database else "")
    (shop.folder / "shop" / "tests.py").write_text(TESTS.format(refusal="is inside a transaction", ran=ran))
    shop.manage("test", "shop")
