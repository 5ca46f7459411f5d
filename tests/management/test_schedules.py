"""manage.py tasks schedules."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import connection

from django_tasks_q import cron, every
from django_tasks_q.control import schedules
from django_tasks_q.models import Job, Schedule
from django_tasks_q.monitoring.schedules import find_schedule, state

from .conftest import Ran

pytestmark = pytest.mark.django_db
Tasks = Callable[..., Ran]


@pytest.fixture
def nightly(db: None) -> Schedule:
    return schedules.create("nightly", cron("30 2 * * *", tz="Europe/Rome"), "tests.tasks.add", args=[1, 2])


def test_list(nightly: Schedule, tasks: Tasks) -> None:
    ran = tasks("schedules", "list")
    assert ran.code == 0
    assert "nightly  ACTIVE  at 02:30, Europe/Rome  tests.tasks.add" in ran.out
    (row,) = tasks("schedules", "list", "--json").json
    assert (row["name"], row["state"], row["expression"], row["args"]) == ("nightly", "ACTIVE", "30 2 * * *", [1, 2])


def test_there_may_be_none(tasks: Tasks) -> None:
    assert tasks("schedules", "list").out.strip() == "No schedules found."
    assert tasks("schedules", "--json", "list").json == []


def test_show(nightly: Schedule, tasks: Tasks) -> None:
    job_id = tasks("schedules", "run", "nightly", "--json").json["job"]
    ran = tasks("schedules", "show", "nightly")
    assert re.search(r"Arguments +\[1, 2\]", ran.out)
    assert f"MANUAL  {job_id}  READY" in ran.out
    (record,) = tasks("schedules", "show", "nightly", "--json").json["runs"]
    assert (record["job_id"], record["job_status"]) == (job_id, "READY")


def test_run(nightly: Schedule, tasks: Tasks) -> None:
    ran = tasks("schedules", "run", "nightly")
    job = Job.objects.get()
    assert ran.out.strip() == f"Enqueued {job.id}."
    assert (job.args, job.metadata["schedule"]["name"]) == ([1, 2], "nightly")
    assert find_schedule("nightly").total_runs == 0


def test_pause_and_resume(nightly: Schedule, tasks: Tasks) -> None:
    assert tasks("schedules", "pause", "nightly").out.strip() == 'Schedule "nightly" is paused now.'
    assert state(find_schedule("nightly")) == "PAUSED"
    again = tasks("schedules", "pause", "nightly", "--json")
    assert (again.code, again.json) == (1, {"paused": [], "unchanged": ["nightly"]})
    assert tasks("schedules", "resume", "nightly", "--json").json == {"resumed": ["nightly"], "unchanged": []}
    assert state(find_schedule("nightly")) == "ACTIVE"


def test_next(nightly: Schedule, tasks: Tasks) -> None:
    moments = [datetime.fromisoformat(text) for text in tasks("schedules", "next", "nightly", "--json").json]
    assert len(moments) == 10
    assert moments == sorted(moments)
    ran = tasks("schedules", "next", "nightly", "--count", "2")
    assert len(ran.out.splitlines()) == 3
    assert "Europe/Rome" in ran.out.splitlines()[0]


@pytest.mark.parametrize("action", ["show", "next", "run", "pause", "resume"])
def test_what_is_not_there_is_said(action: str, tasks: Tasks) -> None:
    ran = tasks("schedules", action, "gone")
    assert ran.code == 1
    assert "There is no schedule “gone”" in ran.err


# import

TEXT, NUMBER, MOMENT = "VARCHAR(200)", "INTEGER", "VARCHAR(40)"
BEAT = {
    "crontabschedule": {"minute": TEXT, "hour": TEXT, "day_of_month": TEXT, "month_of_year": TEXT, "day_of_week": TEXT,
                        "timezone": TEXT},
    "intervalschedule": {"every": NUMBER, "period": TEXT},
    "clockedschedule": {"clocked_time": MOMENT},
    "solarschedule": {"event": TEXT, "latitude": TEXT, "longitude": TEXT},
    "periodictask": {"name": TEXT, "task": TEXT, "crontab_id": NUMBER, "interval_id": NUMBER, "clocked_id": NUMBER,
                     "solar_id": NUMBER, "args": TEXT, "kwargs": TEXT, "queue": TEXT, "exchange": TEXT,
                     "routing_key": TEXT, "headers": TEXT, "priority": NUMBER, "expires": MOMENT,
                     "expire_seconds": NUMBER, "one_off": NUMBER, "start_time": MOMENT, "enabled": NUMBER,
                     "description": TEXT},
}  # fmt: skip
Q2 = {
    "name": TEXT, "func": TEXT, "hook": TEXT, "args": TEXT, "kwargs": TEXT, "schedule_type": TEXT, "minutes": NUMBER,
    "repeats": NUMBER, "next_run": MOMENT, "cron": TEXT, "cluster": TEXT, "intended_date_kwarg": TEXT,
}  # fmt: skip


class Tables:
    """Tables with the columns of another queue's."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def make(self, name: str, columns: dict[str, str]) -> None:
        types = ", ".join(f"{connection.ops.quote_name(column)} {kind}" for column, kind in columns.items())
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {types})")
        self.names.append(name)

    def add(self, name: str, /, **values: Any) -> None:
        columns = ", ".join(connection.ops.quote_name(column) for column in values)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {name} ({columns}) VALUES ({', '.join(['%s'] * len(values))})", list(values.values())
            )


@pytest.fixture
def tables(transactional_db: None) -> Iterator[Tables]:
    made = Tables()
    yield made
    with connection.cursor() as cursor:
        for name in made.names:
            cursor.execute(f"DROP TABLE {name}")


def fill_beat(tables: Tables) -> None:
    prefix = "django_celery_beat_"
    for name, columns in BEAT.items():
        tables.make(prefix + name, columns)
    dow = {"minute": "0", "hour": "3", "month_of_year": "*", "timezone": "Europe/Rome"}
    tables.add(prefix + "crontabschedule", id=1, day_of_month="*", day_of_week="mon-fri", **dow)
    tables.add(prefix + "crontabschedule", id=2, day_of_month="13", day_of_week="5", **dow)
    tables.add(prefix + "intervalschedule", id=1, every=5, period="minutes")
    tables.add(prefix + "intervalschedule", id=2, every=5, period="microseconds")
    tables.add(prefix + "clockedschedule", id=1, clocked_time="2040-01-31 09:00:00")
    tables.add(prefix + "solarschedule", id=1, event="sunset", latitude="41.900000", longitude="12.500000")
    tables.add(prefix + "solarschedule", id=2, event="dusk_nautical", latitude="41.900000", longitude="12.500000")
    common = {"task": "tests.tasks.add", "args": "[1, 2]", "kwargs": "{}", "one_off": 0, "enabled": 1, "headers": "{}"}
    rows: list[dict[str, Any]] = [
        {"name": "weekdays", "crontab_id": 1, "queue": "mail", "description": "Early.", "expire_seconds": 60},
        {"name": "five minutes", "interval_id": 1, "start_time": "2030-01-01 00:00:07", "enabled": 0},
        {"name": "once", "clocked_id": 1, "one_off": 1, "priority": 3},
        {"name": "evening", "solar_id": 1},
        {"name": "renamed", "interval_id": 1, "task": "shop.add"},
        {"name": "friday the 13th", "crontab_id": 2},
        {"name": "too often", "interval_id": 2},
        {"name": "at sea", "solar_id": 2},
        {"name": "cleanup", "crontab_id": 1, "task": "celery.backend_cleanup", "args": "[]"},
    ]
    for number, row in enumerate(rows, start=1):
        tables.add(prefix + "periodictask", id=number, **(common | row))


IMPORT = ("schedules", "import", "--from", "celery-beat", "--map", "shop.add=tests.tasks.add")


def test_import_from_celery_beat(tables: Tables, tasks: Tasks) -> None:
    fill_beat(tables)
    dry = tasks(*IMPORT, "--dry-run", "--json")
    assert not Schedule.objects.exists()
    ran = tasks(*IMPORT, "--json")
    assert (ran.code, ran.json) == (1, dry.json)
    assert ran.json["imported"] == ["weekdays", "five minutes", "once", "evening", "renamed"]
    assert ran.json["notes"] == {"once": ["Not taken over: its priority (3)."]}
    assert set(ran.json["refused"]) == {"friday the 13th", "too often", "at sea", "cleanup"}
    assert "either of them will do" in ran.json["refused"]["friday the 13th"]
    rows = {row.name: row for row in Schedule.objects.all()}
    weekdays = rows["weekdays"]
    assert (weekdays.expression, weekdays.timezone, weekdays.queue_name) == ("0 3 * * mon-fri", "Europe/Rome", "mail")
    assert (weekdays.args, weekdays.expires_after, weekdays.description) == ([1, 2], 60, "Early.")
    assert (rows["five minutes"].expression, rows["five minutes"].enabled) == ("300", False)
    assert (rows["once"].max_runs, rows["once"].kind) == (1, "clocked")
    assert rows["renamed"].task_path == "tests.tasks.add"
    assert rows["evening"].next_run_at is not None
    again = tasks(*IMPORT)
    assert "Already exists: weekdays" in again.out
    assert "Refused: cleanup: There is no task at 'celery.backend_cleanup'" in again.out


def test_import_from_django_q2(tables: Tables, tasks: Tasks) -> None:
    tables.make("django_q_schedule", Q2)
    # It is 08:30 in Berlin, on a Wednesday.
    common = {"func": "tests.tasks.noop", "repeats": -1, "next_run": "2030-01-16 07:30:00"}
    rows: list[dict[str, Any]] = [
        {"name": "minutes", "schedule_type": "I", "minutes": 5, "args": "1, 'a'", "kwargs": "b=2, c=[1]"},
        {"name": "daily", "schedule_type": "D", "repeats": 3, "args": "(7,)", "kwargs": "{'d': None}"},
        {"name": "weekly", "schedule_type": "W", "hook": "shop.hook"},
        {"name": "monthly", "schedule_type": "M"},
        {"name": "quarterly", "schedule_type": "Q"},
        {"name": "yearly", "schedule_type": "Y"},
        {"name": "cron", "schedule_type": "C", "cron": "*/5 * * * *"},
        {"name": "once", "schedule_type": "O", "repeats": 0},
        {"name": "odd", "schedule_type": "D", "args": "open('x')"},
        {"name": "31st", "schedule_type": "M", "next_run": "2030-01-31 07:30:00"},
    ]
    for number, row in enumerate(rows, start=1):
        tables.add("django_q_schedule", id=number, **(common | row))
    ran = tasks("schedules", "import", "--from", "django-q2", "--json")
    assert set(ran.json["refused"]) == {"odd", "31st"}
    assert ran.json["notes"] == {"weekly": ["Not taken over: its hook (shop.hook)."]}
    found = {row.name: row for row in Schedule.objects.all()}
    assert {name: row.expression for name, row in found.items() if row.kind == "cron"} == {
        "daily": "30 8 * * *",
        "weekly": "30 8 * * 3",
        "monthly": "30 8 16 * *",
        "quarterly": "30 8 16 1,4,7,10 *",
        "yearly": "30 8 16 1 *",
        "cron": "*/5 * * * *",
    }
    assert (found["minutes"].args, found["minutes"].kwargs) == ([1, "a"], {"b": 2, "c": [1]})
    assert (found["daily"].args, found["daily"].kwargs, found["daily"].max_runs) == ([7], {"d": None}, 3)
    assert found["daily"].timezone == "Europe/Berlin"
    assert not found["once"].enabled


def test_import_where_there_is_nothing(tasks: Tasks) -> None:
    ran = tasks(*IMPORT)
    assert ran.code == 1
    assert "Its tables cannot be read" in ran.out
    assert json.loads(tasks("schedules", "list", "--json").out) == []


def test_a_schedule_of_the_code_is_changed_there(tasks: Tasks, nightly: Schedule) -> None:
    Schedule.objects.update(origin="code")
    for change in (lambda: schedules.update("nightly", timing=every(hours=1)), lambda: schedules.delete("nightly")):
        with pytest.raises(ValueError, match="is defined in the code: change it there, or pause it"):
            change()
    assert tasks("schedules", "pause", "nightly").code == 0
