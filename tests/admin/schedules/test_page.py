"""The pages of schedules: what is listed, and what an operator may do to which."""

import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_tasks_q import cron, every
from django_tasks_q.control import schedules
from django_tasks_q.models import Job, Schedule, ScheduleRun

from ... import scenes
from ..conftest import LogIn
from ..pages import address, after, offered, post_action, rows, text

pytestmark = pytest.mark.django_db

EVIL = "<script>alert('x')</script>"
VERBS = ("run", "pause", "resume")


@pytest.fixture
def row() -> Schedule:
    return schedules.create("reports", cron("0 3 * * *", tz="Europe/Rome"), "tests.tasks.add", args=[1, 2])


@pytest.fixture
def declared(row: Schedule) -> Schedule:
    """A schedule that is defined in the code."""
    Schedule.objects.filter(pk=row.pk).update(origin="code")
    row.refresh_from_db()
    return row


def log() -> list[tuple[str, str]]:
    entries = LogEntry.objects.order_by("pk").values_list("change_message", "user__username")
    return [(str(message), str(user)) for message, user in entries]


def act(client: Client, verb: str, row: Schedule, **data: Any) -> Any:
    return client.post(address("schedule", verb, row.pk), data, follow=True)


# the list


def test_the_list_says_what_runs_when(admin_client: Client, row: Schedule) -> None:
    shown = text(admin_client.get(address("schedule")))
    assert "reports at 03:00, Europe/Rome tests.tasks.add Active " in shown
    assert "03:00 CE" in shown  # CET or CEST
    assert "— Run now Pause" in shown


def test_the_list_shows_both_clocks_where_they_differ(admin_client: Client, settings: Any) -> None:
    schedules.create("far", cron("30 12 * * *", tz="Asia/Kolkata"), "tests.tasks.noop")
    shown = text(admin_client.get(address("schedule")))
    assert "12:30 IST" in shown
    assert "08:00 CET" in shown or "09:00 CEST" in shown


def test_why_a_schedule_does_not_run(admin_client: Client, row: Schedule) -> None:
    page = address("schedule")
    schedules.pause("reports", by="bob")
    assert "Paused by bob" in text(admin_client.get(page))
    Schedule.objects.update(paused=False, enabled=False, reason=f"No module {EVIL}")
    body = admin_client.get(page).content.decode()
    assert EVIL not in body
    assert f"Disabled No module {EVIL}" in text(admin_client.get(page))
    Schedule.objects.update(enabled=True, next_run_at=None, reason="It is over.")
    assert "Finished It is over." in text(admin_client.get(page))


def test_what_is_broken_is_listed_all_the_same(admin_client: Client, row: Schedule) -> None:
    Schedule.objects.update(expression="no cron", timezone="Mars/Olympus")
    assert "reports" in text(admin_client.get(address("schedule")))
    assert "Mars/Olympus" in text(admin_client.get(address("schedule", "change", row.pk)))


def test_the_last_run_leads_to_its_job(admin_client: Client, row: Schedule) -> None:
    job_id = schedules.run_now("reports")
    page = admin_client.get(address("schedule"))
    assert address("job", "change", job_id) in page.content.decode()
    assert re.search(r"(now|\d+ s ago) Ready", text(page))
    scenes.finish(scenes.claim(), "FAILED")
    assert "Failed" in text(admin_client.get(address("schedule")))
    assert admin_client.get(address("job", "change", job_id)).url == address("result", "change", job_id)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=ACTIVE", {"active"}),
        ("state=PAUSED", {"paused"}),
        ("state=DISABLED", {"disabled"}),
        ("state=FINISHED", {"over"}),
        ("state=ELSE", set()),
        ("origin=code", {"paused"}),
        ("kind=interval", {"active", "paused", "over"}),
        ("task=tests.tasks.noop", {"active", "paused", "disabled"}),
        ("task=%00", set()),
        ("q=pau", {"paused"}),
        ("q=tasks.add", {"over"}),
    ],
)
def test_filters_and_search(admin_client: Client, query: str, found: set[str]) -> None:
    for name in ("active", "paused"):
        schedules.create(name, every(hours=1), "tests.tasks.noop")
    schedules.pause("paused")
    Schedule.objects.filter(name="paused").update(origin="code")
    schedules.create("disabled", cron("@daily"), "tests.tasks.noop", enabled=False)
    schedules.create("over", every(hours=1), "tests.tasks.add", args=[1, 2])
    Schedule.objects.filter(name="over").update(next_run_at=None)
    response = admin_client.get(f"{address('schedule')}?{query}")
    assert set(Schedule.objects.filter(pk__in=rows(response)).values_list("name", flat=True)) == found


def test_a_long_list_takes_no_query_for_each(admin_client: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(20):
        schedules.create(f"s{number}", every(hours=1), "tests.tasks.noop")
        schedules.run_now(f"s{number}")
    with django_assert_max_num_queries(15):
        assert len(rows(admin_client.get(address("schedule")))) == 20


# run, pause, resume


def test_run_now(admin_client: Client, row: Schedule) -> None:
    told = after(act(admin_client, "run", row))
    job = Job.objects.get()
    assert told[0] == "A job of “reports” was enqueued."
    assert address("job", "change", job.pk) in told[1]
    assert (job.args, job.task_path) == ([1, 2], "tests.tasks.add")
    assert ScheduleRun.objects.get().job_id == job.pk
    assert log() == [(f"Run now: job {job.pk}.", "admin")]


def test_pause_and_resume(admin_client: Client, row: Schedule) -> None:
    assert after(act(admin_client, "pause", row)) == ["“reports” is paused."]
    assert after(act(admin_client, "pause", row)) == ["“reports” was already paused."]
    stored = Schedule.objects.get()
    assert (stored.paused, stored.paused_by, stored.next_run_at) == (True, "admin", None)
    assert after(act(admin_client, "resume", row)) == ["“reports” was resumed, from the next slot on."]
    assert after(act(admin_client, "resume", row)) == ["“reports” was not paused."]
    stored = Schedule.objects.get()
    assert (stored.paused, stored.paused_by) == (False, "")
    assert stored.next_run_at is not None
    assert log() == [("Paused.", "admin"), ("Resumed.", "admin")]


def test_the_buttons_of_the_list_lead_back_to_it(admin_client: Client, row: Schedule) -> None:
    page = f"{address('schedule')}?kind=cron"
    [button, _pause] = admin_client.get(page).context["cl"].result_list[0].buttons
    response = admin_client.post(button["url"], {"from_list": "1"})
    assert response.url == page
    assert Job.objects.count() == 1


def test_actions_for_several(admin_client: Client, row: Schedule) -> None:
    other = schedules.create("other", every(hours=1), "tests.tasks.noop")
    keys = [row.pk, other.pk]
    assert after(post_action(admin_client, "schedule", "pause", keys)) == ["“other” and “reports” are paused."]
    assert after(post_action(admin_client, "schedule", "run_now", keys)) == [
        "Jobs of “other” and “reports” were enqueued."
    ]
    assert after(post_action(admin_client, "schedule", "resume", [other.pk]))[0].startswith("“other” was resumed")
    assert Job.objects.count() == 2
    assert [message for message, _user in log()][:2] == ["Paused.", "Paused."]


def test_what_cannot_run_says_why(admin_client: Client, row: Schedule) -> None:
    Schedule.objects.update(task_path="tests.tasks.gone")
    [told] = after(act(admin_client, "run", row))
    assert told.startswith("reports: ")
    assert "tests.tasks.gone" in told
    assert not Job.objects.exists()
    assert log() == []


def test_a_get_does_nothing(admin_client: Client, row: Schedule) -> None:
    for verb in VERBS:
        assert admin_client.get(address("schedule", verb, row.pk)).url == address("schedule", "change", row.pk)
    assert not Job.objects.exists()
    assert not Schedule.objects.get().paused


def test_a_schedule_that_has_gone(admin_client: Client, row: Schedule) -> None:
    schedules.delete("reports")
    for verb in VERBS:
        assert act(admin_client, verb, row).status_code == 200
    assert admin_client.post(address("schedule", "preview", row.pk)).status_code == 404


# permissions


def attempts(client: Client, row: Schedule) -> list[int]:
    """Post everything that there is to post, past the pages."""
    posts = [client.post(address("schedule", verb, row.pk)) for verb in (*VERBS, "change", "preview")]
    posts += [client.post(address("schedule", view)) for view in ("add", "preview_new")]
    posts.append(client.post(address("schedule", "delete", row.pk), {"post": "yes"}))
    return [response.status_code for response in posts]


def untouched() -> bool:
    stored = Schedule.objects.get()
    return not (Job.objects.exists() or LogEntry.objects.exists() or stored.paused)


def test_a_viewer_sees_and_does_nothing(log_in: LogIn, row: Schedule) -> None:
    client = log_in("view_schedule")
    page = client.get(address("schedule"))
    assert "reports" in text(page)
    assert offered(page) == set()
    assert b"formaction" not in page.content
    detail = client.get(address("schedule", "change", row.pk))
    assert detail.context["buttons"] == []
    assert "Europe/Rome" in text(detail)
    assert set(attempts(client, row)) == {403}
    for action in ("run_now", "pause", "resume", "delete_selected"):
        post_action(client, "schedule", action, [row.pk])
    assert untouched()


@pytest.mark.parametrize("rights", [(), ("run_schedule", "pause_schedule")], ids=["none", "only to act"])
def test_an_action_needs_the_view_permission_as_well(log_in: LogIn, row: Schedule, rights: tuple[str, ...]) -> None:
    assert set(attempts(log_in(*rights), row)) == {403}
    assert untouched()


@pytest.mark.parametrize(
    ("right", "verbs", "actions"),
    [
        ("run_schedule", ["Run now"], {"run_now"}),
        ("pause_schedule", ["Pause"], {"pause", "resume"}),
        ("delete_schedule", [], {"delete_selected"}),
        ("change_schedule", [], set()),
    ],
)
def test_each_action_has_its_own_permission(
    log_in: LogIn, row: Schedule, right: str, verbs: list[str], actions: set[str]
) -> None:
    client = log_in("view_schedule", right)
    assert offered(client.get(address("schedule"))) == actions
    detail = client.get(address("schedule", "change", row.pk))
    assert [button["label"] for button in detail.context["buttons"]] == verbs
    assert detail.context["editable"] == (right == "change_schedule")
    assert (client.post(address("schedule", "run", row.pk)).status_code == 302) == (right == "run_schedule")
    assert (client.post(address("schedule", "pause", row.pk)).status_code == 302) == (right == "pause_schedule")


def test_nothing_happens_without_the_token(log_in: LogIn, row: Schedule) -> None:
    everything = [f"{verb}_schedule" for verb in ("view", "add", "change", "delete", "run", "pause")]
    assert set(attempts(log_in(*everything, enforce_csrf_checks=True), row)) == {403}
    assert untouched()


def test_a_stranger_is_sent_to_the_login(row: Schedule) -> None:
    assert set(attempts(Client(), row)) == {302}
    assert untouched()


# of the code


def test_what_the_code_defines_is_only_run_paused_and_resumed(admin_client: Client, declared: Schedule) -> None:
    page = admin_client.get(address("schedule", "change", declared.pk))
    assert not page.context["editable"]
    assert "defined in the code" in text(page)
    assert len(page.context["preview"].slots) == 10
    for view, data in (("change", {"name": "mine"}), ("delete", {"post": "yes"}), ("preview", {})):
        assert admin_client.post(address("schedule", view, declared.pk), data).status_code == 403
    [told] = after(post_action(admin_client, "schedule", "delete_selected", [declared.pk]))
    assert told == "1 schedule was skipped: it is defined in the code or the settings."
    assert after(act(admin_client, "pause", declared)) == ["“reports” is paused."]
    assert "A job of" in after(act(admin_client, "run", declared))[0]
    assert after(act(admin_client, "resume", declared))[0].startswith("“reports” was resumed")


# delete


def test_delete(admin_client: Client, row: Schedule) -> None:
    job_id = schedules.run_now("reports")
    assert "Are you sure" in text(admin_client.get(address("schedule", "delete", row.pk)))
    admin_client.post(address("schedule", "delete", row.pk), {"post": "yes"})
    assert not Schedule.objects.exists()
    assert not ScheduleRun.objects.exists()
    assert Job.objects.get().pk == job_id


def test_delete_the_selected(admin_client: Client, row: Schedule) -> None:
    other = schedules.create("code's", every(hours=1), "tests.tasks.noop")
    Schedule.objects.filter(pk=other.pk).update(origin="settings")
    keys = [row.pk, other.pk]
    assert "Are you sure" in text(post_action(admin_client, "schedule", "delete_selected", keys))
    post_action(admin_client, "schedule", "delete_selected", keys, post="yes")
    assert Schedule.objects.get().pk == other.pk


# the history of its runs


def test_runs_and_jobs_lead_to_each_other(admin_client: Client, row: Schedule) -> None:
    job_id = schedules.run_now("reports")
    page = admin_client.get(address("schedule", "change", row.pk))
    assert "Run by an operator" in text(page)
    assert address("job", "change", job_id) in page.content.decode()
    scenes.finish(scenes.claim(), "SUCCESSFUL", return_value=3)
    assert "Successful" in text(admin_client.get(address("schedule", "change", row.pk)))
    detail = admin_client.get(address("result", "change", job_id))
    assert address("schedule", "change", row.pk) in detail.content.decode()
    assert "Schedule reports" in text(detail)


def test_a_job_of_a_schedule_that_has_gone_names_it(admin_client: Client, row: Schedule) -> None:
    job_id = schedules.run_now("reports")
    schedules.delete("reports")
    detail = admin_client.get(address("job", "change", job_id))
    assert "Schedule reports" in text(detail)
    assert address("schedule", "change", row.pk) not in detail.content.decode()


@pytest.mark.parametrize("metadata", [{}, {"schedule": "mine"}, {"schedule": {}}])
def test_a_job_of_no_schedule(admin_client: Client, metadata: Any) -> None:
    [key] = scenes.jobs(metadata=metadata)
    assert admin_client.get(address("job", "change", key)).status_code == 200


def test_a_schedule_of_a_backend_that_has_gone(admin_client: Client, row: Schedule) -> None:
    Schedule.objects.update(backend="gone", last_run_at=row.updated_at)
    assert "reports" in text(admin_client.get(address("schedule")))
    page = admin_client.get(address("schedule", "change", row.pk))
    assert not page.context["editable"]
    assert "is no longer in TASKS" in after(act(admin_client, "run", row))[0]
