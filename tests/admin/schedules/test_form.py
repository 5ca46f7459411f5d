"""The form of an operator's schedule, and the preview of what it would do."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models.signals import pre_save
from django.test import Client

from django_tasks_q import cron, every, once, solar, task
from django_tasks_q.control import schedules
from django_tasks_q.exceptions import InvalidSchedule
from django_tasks_q.models import Result, Schedule

from ... import settings as test_settings
from ...conftest import StartWorker
from ...notifiers.seldom import SELDOM
from ...waiting import wait_for
from ..conftest import LogIn
from ..pages import address, after, text

pytestmark = pytest.mark.django_db

FORM = {
    "name": "reports", "task_path": "tests.tasks.add", "args": "[1, 2]", "kwargs": "", "kind": "cron",
    "cron": "0 3 * * *", "unit": "1", "timezone": "Europe/Rome", "catch_up": "latest", "overlap": "allow",
    "jitter": "0", "enabled": "on", "options": "",
}  # fmt: skip


def special() -> None:
    """Do nothing. A test makes it a task of another backend."""


def post(client: Client, row: Schedule | None = None, **given: Any) -> Any:
    """Save the form as it is, but for what is given."""
    place = ("change", row.pk) if row else ("add",)
    return client.post(address("schedule", *place), FORM | given, follow=True)


def errors(response: Any) -> dict[str, list[str]]:
    found = response.context["adminform"].form.errors if "adminform" in response.context else {}
    return {name: list(texts) for name, texts in found.items()}


def preview(client: Client, row: Schedule | None = None, **given: Any) -> Any:
    """Return what the form would do, as its page asks."""
    place = ("preview", row.pk) if row else ("preview_new",)
    response = client.post(address("schedule", *place), FORM | given)
    assert response.status_code == 200
    return response.context["preview"]


# what is saved


@pytest.mark.parametrize(
    ("fields", "kind", "expression"),
    [
        ({"cron": " @hourly "}, "cron", "@hourly"),
        ({"kind": "interval", "every": "90", "unit": "60"}, "interval", "5400"),
        ({"kind": "interval", "every": "1.5"}, "interval", "1.5"),
        ({"kind": "clocked", "moment": "2199-01-31T09:00"}, "clocked", "2199-01-31T09:00:00+01:00"),
        ({"kind": "solar", "event": "sunset", "latitude": "41.9", "longitude": "-12"}, "solar", "sunset 41.9 -12.0"),
    ],
)
def test_every_kind_is_saved_and_shown_again(
    admin_client: Client, fields: dict[str, str], kind: str, expression: str
) -> None:
    post(admin_client, **fields)
    row = Schedule.objects.get()
    assert (row.kind, row.expression, row.timezone, row.origin) == (kind, expression, "Europe/Rome", "admin")
    assert row.next_run_at is not None
    assert LogEntry.objects.get().object_id == str(row.pk)
    form = admin_client.get(address("schedule", "change", row.pk)).context["adminform"].form
    again = {name: form[name].value() for name in FORM if form[name].value() is not None}
    shown = {name: form[name].value() for name in ("every", "unit", "moment", "event", "latitude", "longitude")}
    shown["moment"] = shown["moment"] and shown["moment"].isoformat()
    posted = again | {name: value for name, value in shown.items() if value is not None} | {"enabled": "on"}
    assert errors(post(admin_client, row, **posted)) == {}
    assert Schedule.objects.get().expression == expression


@contextmanager
def meanwhile(do: Callable[[], Any]) -> Iterator[None]:
    """Do something once, after a form was found right and before its schedule is stored."""

    def act(**kwargs: Any) -> None:
        pre_save.disconnect(act, sender=Schedule)
        do()

    pre_save.connect(act, sender=Schedule, weak=False)
    yield


def test_who_saves_a_name_second_is_told_so(admin_client: Client) -> None:
    with meanwhile(lambda: schedules.create("reports", every(hours=1), "tests.tasks.noop")):
        response = post(admin_client)
    assert errors(response) == {"name": ["The schedule “reports” already exists."]}
    assert not LogEntry.objects.exists()


@pytest.mark.only_on("postgresql", "mysql")
@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_a_name_at_once_one_is_told_so(admin_client: Client) -> None:
    def save_elsewhere() -> None:
        schedules.create("reports", every(hours=1), "tests.tasks.noop")
        connection.close()

    def in_another_session() -> None:
        other = Thread(target=save_elsewhere)
        other.start()
        other.join()

    with meanwhile(in_another_session):
        response = post(admin_client)
    assert errors(response) == {"name": ["The schedule “reports” already exists."]}
    assert Schedule.objects.get().task_path == "tests.tasks.noop"


def test_what_was_deleted_meanwhile_is_said_to_be_gone(admin_client: Client) -> None:
    row = schedules.create("reports", every(hours=1), "tests.tasks.noop")
    Schedule.objects.all().delete()
    assert "Perhaps it was deleted?" in " ".join(after(post(admin_client, row)))


def test_a_changed_schedule_runs_when_it_should_now(admin_client: Client) -> None:
    row = schedules.create("reports", cron("0 3 * * *", tz="Europe/Rome"), "tests.tasks.add", args=[1, 2])
    before = row.next_run_at
    post(admin_client, row, cron="30 4 * * *", description="early")
    row.refresh_from_db()
    assert (row.expression, row.description) == ("30 4 * * *", "early")
    assert row.next_run_at != before


def test_everything_else_is_saved_too(admin_client: Client) -> None:
    limits = {"max_runs": "5", "jitter": "10", "expires_after": "60", "catch_up": "all", "catch_up_window": "3600"}
    given = {"overlap": "skip", "queue_name": "mail", "priority": "7", "options": '{"max_attempts": 3}'}
    post(admin_client, start_at="2190-01-01T00:00", end_at="2199-01-01T00:00:30", **limits, **given)
    row = Schedule.objects.get()
    assert (row.max_runs, row.jitter, row.expires_after, row.catch_up_window) == (5, 10, 60, 3600)
    assert (row.catch_up, row.overlap, row.queue_name, row.priority) == ("all", "skip", "mail", 7)
    assert (row.options, row.args, row.kwargs) == ({"max_attempts": 3}, [1, 2], {})
    assert row.end_at is not None
    assert row.end_at.second == 30


def test_a_disabled_schedule_is_enabled_again(admin_client: Client) -> None:
    row = schedules.create("reports", every(hours=1), "tests.tasks.noop")
    Schedule.objects.update(enabled=False, next_run_at=None, reason="broken")
    post(admin_client, row)
    row.refresh_from_db()
    assert (row.enabled, row.reason) == (True, "")
    assert row.next_run_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_worker_hears_of_a_new_schedule_at_once(admin_client: Client, start_worker: StartWorker) -> None:
    # Polling would take long: only a wake-up can be this quick, if the database has wake-ups.
    start_worker("--concurrency", "1", **(SELDOM if test_settings.DATABASE == "postgresql" else {}))
    post(admin_client, kind="interval", every="1", task_path="tests.tasks.noop", args="", max_runs="1")
    wait_for(Result.objects.exists, "the job of the schedule")


# what is refused


@pytest.mark.parametrize(
    ("fields", "place", "timing", "given"),
    [
        ({"cron": "61 * * * *"}, "cron", lambda: cron("61 * * * *"), {}),
        ({"cron": "* * * *"}, "cron", lambda: cron("* * * *"), {}),
        ({"timezone": "Mars/Olympus"}, "timezone", lambda: cron("0 3 * * *", tz="Mars/Olympus"), {}),
        ({"kind": "interval", "every": "0.5"}, "every", lambda: every(seconds=0.5), {}),
        ({"kind": "clocked", "moment": "tomorrow"}, "moment", lambda: once("tomorrow"), {}),
        (
            {"kind": "solar", "event": "noon", "latitude": "91", "longitude": "0"},
            "event",
            lambda: solar("noon", latitude=91.0, longitude=0.0),
            {},
        ),
        ({"args": "[1]"}, "args", lambda: cron("@daily"), {"args": [1]}),
        ({"kwargs": '{"c": 1}'}, "args", lambda: cron("@daily"), {"args": [1, 2], "kwargs": {"c": 1}}),
        ({"priority": "101"}, "priority", lambda: cron("@daily"), {"args": [1, 2], "priority": 101}),
        ({"options": '{"x": 1}'}, "options", lambda: cron("@daily"), {"args": [1, 2], "options": {"x": 1}}),
    ],
)
def test_the_form_refuses_what_code_refuses_in_the_same_words(
    admin_client: Client, fields: dict[str, str], place: str, timing: Any, given: dict[str, Any]
) -> None:
    found = errors(post(admin_client, **fields))
    assert not Schedule.objects.exists()
    with pytest.raises(InvalidSchedule) as refused:
        schedules.create("reports", timing(), "tests.tasks.add", **given)
    assert found == {place: [str(refused.value)]}


@pytest.mark.parametrize("value", ["{", "[" * 100_000, "1" * 5_000, '"text"', "1e999", '["\\u0000"]'])
def test_arguments_that_are_no_list_of_json(admin_client: Client, value: str) -> None:
    assert list(errors(post(admin_client, args=value))) == ["args"]
    assert not Schedule.objects.exists()


def test_only_known_tasks_are_offered(admin_client: Client) -> None:
    choices = admin_client.get(address("schedule", "add")).context["adminform"].form.fields["task_path"].choices
    paths = [path for path, _label in choices]
    assert {"tests.tasks.add", "tests.tasks.noop", "analyser.tasks.analyse_file"} <= set(paths)
    assert "django_tasks_q.admin.register" not in paths
    assert list(errors(post(admin_client, task_path="os.system"))) == ["task_path"]


def test_a_task_that_has_gone_is_shown_and_refused(admin_client: Client) -> None:
    row = schedules.create("reports", every(hours=1), "tests.tasks.noop")
    Schedule.objects.update(task_path="tests.tasks.gone")
    assert "tests.tasks.gone" in text(admin_client.get(address("schedule", "change", row.pk)))
    [told] = errors(post(admin_client, row, task_path="tests.tasks.gone"))["task_path"]
    assert "tests.tasks.gone" in told


def test_a_name_is_taken_once(admin_client: Client) -> None:
    post(admin_client)
    assert errors(post(admin_client)) == {"name": ["The schedule “reports” already exists."]}
    assert errors(post(admin_client, name="")) == {"name": ["This field is required."]}
    assert Schedule.objects.count() == 1


@pytest.mark.django_db(databases=["default", "queue"])
def test_a_schedule_goes_to_the_backend_of_its_task(
    admin_client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TASKS = test_settings.TASKS
    monkeypatch.setattr(sys.modules[__name__], "special", task(backend="elsewhere")(special))
    given = {"task_path": f"{__name__}.special", "args": "", "_viewer_zone": "UTC"}
    assert preview(admin_client, **given).problems == []
    post(admin_client, **given)
    row = Schedule.objects.using("queue").get()
    assert (row.backend, row.next_run_at is None) == ("elsewhere", False)
    assert not Schedule.objects.exists()
    post(admin_client, row, **given, cron="@hourly")
    assert Schedule.objects.using("queue").get().expression == "@hourly"
    [told] = errors(post(admin_client, row))["task_path"]
    assert "tests.tasks.add" in told
    assert "reports" in text(admin_client.get(f"{address('schedule')}?backend=elsewhere"))
    assert admin_client.post(address("schedule", "pause", row.pk)).status_code == 302
    assert Schedule.objects.using("queue").get().paused


# the preview


def test_the_preview_shows_ten_runs_by_both_clocks(admin_client: Client) -> None:
    shown = preview(admin_client, _viewer_zone="America/New_York")
    assert (shown.words, shown.problems) == ("at 03:00, Europe/Rome", [])
    assert (shown.own_zone, shown.viewers_zone, len(shown.slots)) == ("Europe/Rome", "America/New_York", 10)
    assert all(" 03:00 CE" in slot.own for slot in shown.slots)
    assert all(" 21:00 E" in slot.viewers or " 22:00 E" in slot.viewers for slot in shown.slots)
    assert not Schedule.objects.exists()


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../etc/passwd", "x" * 10_000])
def test_a_viewer_without_a_zone_has_the_sites(admin_client: Client, zone: str) -> None:
    assert preview(admin_client, _viewer_zone=zone).viewers_zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("given", "words", "problem"),
    [
        ({"cron": "61 * * * *"}, "", "61"),
        ({"timezone": "Mars/Olympus"}, "", "Mars/Olympus"),
        ({"args": "[1]"}, "at 03:00, Europe/Rome", "missing a required argument"),
        ({"args": "["}, "at 03:00, Europe/Rome", "valid JSON"),
        ({"kind": "interval", "every": "x"}, "", "Enter a number"),
    ],
)
def test_the_preview_says_what_is_wrong(admin_client: Client, given: dict[str, str], words: str, problem: str) -> None:
    shown = preview(admin_client, **given)
    assert shown.words == words
    assert [problem in told for told in shown.problems] == [True]


def test_what_has_not_been_entered_yet_is_not_wrong(admin_client: Client) -> None:
    assert preview(admin_client, cron="", name="", task_path="", args="") is None
    shown = preview(admin_client, name="", task_path="", args="")
    assert (shown.problems, len(shown.slots)) == ([], 10)
    assert preview(admin_client, name="", args="[1]").problems


def test_the_preview_knows_limits(admin_client: Client) -> None:
    assert len(preview(admin_client, max_runs="3").slots) == 3
    assert len(preview(admin_client, kind="clocked", moment="2199-01-31T09:00").slots) == 1
    assert preview(admin_client, kind="clocked", moment="1999-01-31T09:00").slots == []


def test_the_preview_of_a_schedule_that_exists(admin_client: Client) -> None:
    row = schedules.create("reports", every(hours=1), "tests.tasks.noop")
    assert preview(admin_client, row).problems == []
    assert Schedule.objects.get().kind == "interval"


def test_without_a_script_a_button_previews(admin_client: Client) -> None:
    response = post(admin_client, _preview="1")
    assert errors(response) == {}
    assert "At 03:00, Europe/Rome" in text(response)
    assert not Schedule.objects.exists()
    assert not LogEntry.objects.exists()
    assert after(response) == []


def test_what_is_entered_is_text(admin_client: Client) -> None:
    body = admin_client.post(address("schedule", "preview_new"), FORM | {"cron": "<img src=x>"}).content.decode()
    assert "<img" not in body
    assert "&lt;img" in body


def test_a_preview_is_for_who_may_save(log_in: LogIn) -> None:
    client = log_in("view_schedule", "run_schedule", "pause_schedule")
    assert client.post(address("schedule", "preview_new"), FORM).status_code == 403
    assert client.get(address("schedule", "preview_new")).status_code == 405
