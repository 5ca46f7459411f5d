"""What could never run is refused in the form, in code, and by the command, in the same words."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings

from django_tasks_q import cron, every, once, periodic
from django_tasks_q.checks import check_backends
from django_tasks_q.control import schedules
from django_tasks_q.exceptions import InvalidSchedule
from django_tasks_q.models import Schedule
from django_tasks_q.monitoring.schedules import find_schedule
from django_tasks_q.schedules.declaring import read_setting
from django_tasks_q.schedules.definitions import Definition
from django_tasks_q.schedules.timings import Timing, load_timing
from tests.management.conftest import Ran, tasks  # noqa: F401
from tests.tasks import add

pytestmark = pytest.mark.django_db
TASK = "tests.tasks.add"
# The columns of a row; the same as a setting; the field; the beginning of the message.
BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str, str]] = {
    "expression": ({"expression": "often"}, {"cron": "often"}, "expression", "“often” is not a cron expression: "),
    "zone": ({"timezone": "Europe/Atlantis"}, {"timezone": "Europe/Atlantis"}, "timezone", "There is no time zone"),
    "arguments": ({"args": [1]}, {"args": [1]}, "args", f"The arguments do not fit {TASK}: missing"),
    "keyword": ({"kwargs": {"c": 1}}, {"kwargs": {"c": 1}}, "args", f"The arguments do not fit {TASK}: "),
    "task": ({"task_path": "tests.tasks.gone"}, {"task": "tests.tasks.gone"}, "task_path", "There is no task at"),
    "policy": ({"overlap": "maybe"}, {"overlap": "maybe"}, "overlap", "The policy overlap must be one of allow, skip"),
    "option": ({"options": {"speed": 1}}, {"options": {"speed": 1}}, "options", "The job's options are"),
    "jitter": ({"jitter": -1}, {"jitter": -1}, "jitter", "jitter must be a whole number from 0 on"),
    "priority": ({"priority": 101}, {"priority": 101}, "priority", "The priority must be a whole number"),
    "runs": ({"max_runs": 0}, {"max_runs": 0}, "max_runs", "max_runs must be a whole number from 1 on"),
}  # fmt: skip


def row_of(columns: dict[str, Any]) -> Schedule:
    return Schedule(**{"name": "s", "task_path": TASK, "expression": "0 3 * * *", "args": [1, 2]} | columns)


@pytest.mark.parametrize("name", BAD)
def test_the_same_words_everywhere(name: str, tasks: Callable[..., Ran]) -> None:  # noqa: F811
    columns, setting, field, beginning = BAD[name]
    with pytest.raises(ValidationError) as form:
        row_of(columns).full_clean(exclude=["priority", "jitter", "overlap"])
    (message,) = form.value.message_dict[field]
    assert message.startswith(beginning)

    with pytest.raises(InvalidSchedule) as code:
        schedules.save(row_of(columns))
    assert (str(code.value), code.value.field) == (message, field)

    declared = {"s": {"task": TASK, "cron": "0 3 * * *", "args": [1, 2]} | setting}
    options = {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": [], "OPTIONS": {"schedules": declared}}
    with override_settings(TASKS={"default": options}):
        ran = tasks("schedules", "sync")
        assert (ran.code, ran.err.strip().removeprefix("CommandError: ")) == (1, message)
        (problem,) = [check for check in check_backends() if check.id == "tasksq.E009"]
        assert message in problem.msg


def define(*, expression: str = "0 3 * * *", tz: str = "UTC", args: Sequence[int] = (1, 2)) -> None:
    periodic(cron(expression, tz=tz), name="refused", args=args)(add)


@pytest.mark.parametrize("given", [{"expression": "often"}, {"tz": "Europe/Atlantis"}, {"args": [1]}])
def test_a_decorator_refuses_when_it_is_read(given: dict[str, Any]) -> None:
    columns = {"timezone" if key == "tz" else key: value for key, value in given.items()}
    with pytest.raises(InvalidSchedule) as stored:
        schedules.save(row_of(columns))
    with pytest.raises(InvalidSchedule) as defined:
        define(**given)
    assert str(defined.value) == str(stored.value)


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"backend": "nowhere"}, "backend"),
        ({"queue_name": "q" * 129}, "queue_name"),
        ({"kwargs": [1]}, "kwargs"),
        ({"args": {}}, "args"),
        ({"args": [1, "\0"]}, "args"),
        ({"kind": "interval", "expression": "0"}, "expression"),
        ({"kind": "interval", "expression": "nan"}, "expression"),
        ({"kind": "interval", "expression": "inf"}, "expression"),
        ({"kind": "clocked", "expression": "tomorrow"}, "expression"),
        ({"kind": "clocked", "expression": "2026-13-01T00:00"}, "expression"),
        ({"kind": "solar", "expression": "sunset 91 0"}, "expression"),
        ({"kind": "solar", "expression": "eclipse 1 1"}, "expression"),
        ({"kind": "lunar"}, "kind"),
        ({"start_at": datetime(2030, 1, 2), "end_at": datetime(2030, 1, 1)}, "end_at"),
        ({"expires_after": 0}, "expires_after"),
        ({"catch_up": "some"}, "catch_up"),
    ],
)
def test_each_refusal_names_its_field(columns: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        schedules.save(row_of(columns))
    assert caught.value.field == field


def test_a_task_of_another_backend_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match="belongs to the backend “default”, not to “elsewhere”"):
        schedules.save(row_of({"backend": "elsewhere"}))


def test_what_makes_sense_is_taken() -> None:
    row_of({}).full_clean()
    assert schedules.save(row_of({})).pk


@pytest.mark.parametrize(
    "timing",
    [
        cron("0 3 * * *", tz="Europe/Rome"),
        every(minutes=5),
        every(seconds=1.5),
        every(days=12, seconds=0.25),
        once("2030-01-31T09:00", tz="Asia/Tokyo"),
        once(datetime(2030, 1, 31, 9)),
    ],
)
def test_a_timing_survives_its_row(timing: Timing) -> None:
    loaded = load_timing(timing.kind, timing.expression, timing.timezone)
    assert loaded == timing.settled()
    now = datetime(2026, 3, 28, 22, tzinfo=UTC)
    assert loaded.following(now) == timing.following(now)


@pytest.mark.parametrize(
    "make",
    [
        lambda: cron("0 3 * * *"),
        lambda: once("2030-01-31T09:00"),
        lambda: every(hours=1),
        lambda: read_setting("default", "s", {"task": "tests.tasks.noop", "cron": "0 3 * * *"}).timing,
    ],
    ids=["cron", "once", "every", "settings"],
)
def test_without_a_zone_it_is_the_projects(make: Callable[[], Timing]) -> None:
    with override_settings(TIME_ZONE="Asia/Tokyo"):
        assert make().timezone == "Asia/Tokyo"
    assert make().timezone == "Europe/Berlin"


def test_the_zone_of_a_schedule_stays_when_the_projects_changes() -> None:
    row = schedules.create("made", cron("0 3 * * *"), "tests.tasks.noop")
    schedules.update("made", timing=cron("0 4 * * *"))
    with override_settings(TIME_ZONE="Asia/Tokyo"):
        definition = Definition.of_row(find_schedule(row.name))
        assert definition.timezone == "Europe/Berlin"
        assert definition.following(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, 3, tzinfo=UTC)


def test_a_moment_without_a_zone_is_of_the_projects_clocks() -> None:
    assert once("2030-01-31T09:00").settled().expression == "2030-01-31T09:00:00+01:00"
    assert once("2030-01-31T09:00+00:00").settled().expression == "2030-01-31T10:00:00+01:00"
    with pytest.raises(InvalidSchedule, match="is not a moment such as"):
        once("tomorrow")


def test_intervals_are_counted_from_the_start() -> None:
    start = datetime.fromisoformat("2026-01-01T00:00:10+00:00")
    timing = every(minutes=1)
    assert timing.following(start) == start + timedelta(seconds=50)
    assert timing.following(start, anchor=start) == start + timedelta(minutes=1)
    assert timing.following(start - timedelta(days=1), anchor=start) == start


def test_a_moment_of_no_zone_is_of_the_schedules() -> None:
    moment = datetime.fromisoformat("2030-01-31T00:00:00+00:00")
    timing = once("2030-01-31T09:00", tz="Asia/Tokyo")
    assert timing.following(moment - timedelta(seconds=1)) == moment
    assert timing.following(moment) is None


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: cron(minute=0), r'five fields: cron\("0 \* \* \* \*"\)'),
        (lambda: cron(hour="*/2", minute=30, tz="UTC"), r'cron\("30 \*/2 \* \* \*"\)'),
        (lambda: cron(), r'missing a required argument.*cron\("0 3 \* \* \*"\)'),
        (lambda: every(5), r"too many positional arguments.*every\(minutes=5\)"),
        (lambda: every(minute=5), r"unexpected keyword argument .minute.*every\(minutes=5\)"),
    ],
)
def test_arguments_that_others_take_are_explained(make: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        make()
