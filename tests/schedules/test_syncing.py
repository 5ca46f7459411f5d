"""Rows are brought in line with what is declared."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.test import override_settings

from django_tasks_q import cron, every
from django_tasks_q.control import schedules
from django_tasks_q.exceptions import InvalidSchedule
from django_tasks_q.lifecycle import ScheduleOrigin
from django_tasks_q.models import Schedule
from django_tasks_q.moments import to_stored
from django_tasks_q.monitoring.schedules import find_schedule, state
from django_tasks_q.schedules.declaring import Declaration, read_setting
from django_tasks_q.schedules.syncing import Synchronised, synchronise

pytestmark = pytest.mark.django_db
HOURLY = {"task": "tests.tasks.noop", "every": 3_600}
NIGHTLY = {"task": "tests.tasks.noop", "cron": "0 3 * * *", "timezone": "Europe/Rome"}


def declared(**given: Any) -> list[Declaration]:
    return [
        Declaration(ScheduleOrigin.SETTINGS, read_setting("default", name, value)) for name, value in given.items()
    ]


def age(name: str, **columns: Any) -> None:
    """Let a schedule have been changed long ago."""
    Schedule.objects.filter(name=name).update(updated_at=to_stored(datetime.now(UTC) - timedelta(days=30)), **columns)


def test_added_changed_and_removed(broker: Any) -> None:
    assert synchronise(broker, declared(a=HOURLY, b=HOURLY)).added == ("a", "b")
    assert synchronise(broker, declared(a=HOURLY, b=HOURLY)) == Synchronised()
    age("a")
    assert synchronise(broker, declared(a=NIGHTLY, b=HOURLY)).changed == ("a",)
    assert find_schedule("a").expression == "0 3 * * *"
    age("b")
    assert synchronise(broker, declared(a=NIGHTLY)).removed == ("b",)
    gone = find_schedule("b")
    assert (state(gone), gone.reason, gone.next_run_at) == ("DISABLED", "It is not declared any more.", None)
    assert synchronise(broker, declared(a=NIGHTLY)) == Synchronised()
    age("b")
    synchronise(broker, declared(a=NIGHTLY))
    assert [row.name for row in Schedule.objects.all()] == ["a"]


def test_what_comes_back_runs_again(broker: Any) -> None:
    synchronise(broker, declared(a=HOURLY))
    age("a")
    synchronise(broker, [])
    age("a")
    assert synchronise(broker, declared(a=HOURLY)).changed == ("a",)
    row = find_schedule("a")
    assert (state(row), row.reason) == ("ACTIVE", "")


def test_a_pause_survives(broker: Any) -> None:
    synchronise(broker, declared(a=HOURLY))
    schedules.pause("a")
    age("a")
    synchronise(broker, declared(a=NIGHTLY))
    row = find_schedule("a")
    assert (state(row), row.next_run_at, row.expression) == ("PAUSED", None, "0 3 * * *")
    schedules.resume("a")
    assert find_schedule("a").next_run_at is not None


def test_an_operators_schedule_stays_his(broker: Any) -> None:
    schedules.create("mine", every(hours=1), "tests.tasks.noop")
    age("mine")
    assert synchronise(broker, declared(mine=NIGHTLY)) == Synchronised()
    assert find_schedule("mine").kind == "interval"
    assert synchronise(broker, []) == Synchronised()
    assert find_schedule("mine").enabled


def test_one_that_an_error_has_disabled_is_tried_again(broker: Any) -> None:
    synchronise(broker, declared(a=HOURLY))
    Schedule.objects.update(enabled=False, next_run_at=None, reason="There is no task.")
    assert synchronise(broker, declared(a=HOURLY)).changed == ("a",)
    row = find_schedule("a")
    assert (state(row), row.reason) == ("ACTIVE", "")


def test_a_worker_of_the_old_release_does_not_undo_a_deploy(broker: Any) -> None:
    old, new = declared(a=HOURLY, gone=HOURLY), declared(a=NIGHTLY, added=HOURLY)
    synchronise(broker, old)
    age("a")
    age("gone")
    synchronise(broker, new, decisive=True)
    # It starts again while the new release is being rolled out.
    assert synchronise(broker, old) == Synchronised(left=("a", "gone", "added"))
    assert find_schedule("a").expression == "0 3 * * *"
    assert not find_schedule("gone").enabled
    assert find_schedule("added").enabled
    # A rollback is told by migrate, or by an operator.
    done = synchronise(broker, old, decisive=True)
    assert (done.changed, done.removed) == (("a", "gone"), ("added",))
    assert find_schedule("a").expression == "3600"


def test_where_a_module_is_broken_nothing_is_removed(broker: Any) -> None:
    synchronise(broker, declared(a=HOURLY, b=HOURLY))
    age("b")
    assert synchronise(broker, declared(a=HOURLY), complete=False) == Synchronised()


def settings_with(**given: Any) -> Any:
    backend = {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": [], "OPTIONS": {"schedules": given}}
    return override_settings(TASKS={"default": backend})


def test_migrate_synchronises() -> None:
    with settings_with(a=HOURLY, b={**NIGHTLY, "description": "At night.", "jitter": timedelta(minutes=1)}):
        call_command("migrate", "django_tasks_q", verbosity=0)
        assert set(Schedule.objects.values_list("name", "description", "jitter")) == {
            ("a", "", 0),
            ("b", "At night.", 60),
        }
    with settings_with():
        call_command("migrate", "django_tasks_q", verbosity=0)
    assert not Schedule.objects.filter(enabled=True).exists()


def test_migrate_logs_what_it_did_in_plain_words_and_a_flush_does_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "django_tasks_q")
    with settings_with(a=HOURLY, b=HOURLY):
        call_command("migrate", "django_tasks_q", verbosity=1, stdout=StringIO())
        assert caplog.messages == ["Schedules: added a, b."]
        # What a TransactionTestCase does at its end.
        Schedule.objects.all().delete()
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        assert len(caplog.messages) == 1
        assert Schedule.objects.count() == 2


def test_what_was_done_in_words_has_a_bound() -> None:
    assert str(Synchronised()) == ""
    assert str(Synchronised(changed=("a",), removed=("b", "c"), left=("d",))) == "changed a; removed b, c"
    assert str(Synchronised(added=tuple(map(str, range(25))))).endswith(", 18, 19 and 5 more")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"every": 1}, "“task” must be the dotted path"),
        ({"task": "tests.tasks.noop"}, "Give one of cron, every, once, solar."),
        ({"task": "tests.tasks.noop", "every": 1, "cron": "* * * * *"}, "Give one of"),
        ({**HOURLY, "retries": 1}, "A schedule has no “retries”, only args, "),
        ({"task": "tests.tasks.noop", "every": "soon"}, "every: "),
        ({"task": "tests.tasks.noop", "solar": {"event": "sunset"}}, "solar: "),
    ],
)
def test_what_the_settings_cannot_mean(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        read_setting("default", "s", given)
    assert str(caught.value).startswith(message)


def test_every_kind_can_stand_in_the_settings() -> None:
    kinds: list[dict[str, Any]] = [
        {"every": timedelta(minutes=5)},
        {"once": datetime(2030, 1, 1, 9)},
        {"once": "2030-01-01T09:00", "timezone": "Asia/Tokyo"},
        {"solar": {"event": "sunset", "latitude": 41.9, "longitude": 12.5}},
        {"cron": "@hourly"},
    ]
    found = [read_setting("default", "s", {"task": "tests.tasks.noop", **kind}).timing for kind in kinds]
    assert [timing.kind for timing in found] == ["interval", "clocked", "clocked", "solar", "cron"]
    assert found[-1] == cron("@hourly", tz="Europe/Berlin")
