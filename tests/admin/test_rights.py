"""Each action needs its own permission, and no other: every action is posted with every permission."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_tasks_q import every
from django_tasks_q.control import queues, schedules
from django_tasks_q.models import Job, Queue, Result, Schedule, ScheduleRun, Worker

from .. import scenes
from .conftest import PERMISSIONS, LogIn
from .pages import address, confirm, offered, post_action

pytestmark = pytest.mark.django_db


def bulk(client: Client, model: str, action: str, key: Any, **given: Any) -> None:
    """Post an action, and press the button of the page that asks, or what such a button would send."""
    # Without the list that it ends with: nobody looks at it.
    page = post_action(client, model, action, [key], follow=False)
    if "hidden" in (page.context or {}):
        confirm(client, page, follow=False, **given)


def across(client: Client, model: str, action: str, queue: str) -> None:
    """Do it to all that a filter shows, as the page of failures does."""
    form = {"action": action, "index": 0, "select_across": "1", "_selected_action": [uuid.uuid4()]}
    page = client.post(f"{address(model)}?queue={queue}", form)
    if "hidden" in (page.context or {}):
        confirm(client, page, follow=False)


SCHEDULE = {
    "name": "made", "task_path": "tests.tasks.noop", "args": "", "kwargs": "", "kind": "cron", "cron": "0 3 * * *",
    "unit": "1", "timezone": "Europe/Rome", "catch_up": "latest", "overlap": "allow", "jitter": "0", "enabled": "on",
    "options": "",
}  # fmt: skip


# By permission: what is posted, and how to see that it was done.
Deed = tuple[Callable[[Client, Any], Any], Callable[[Any], bool]]
DEEDS: dict[str, list[Deed]] = {
    "cancel_job": [
        (lambda c, s: c.post(address("job", "cancel", s.cancel)), lambda s: _is_cancelled(s.cancel)),
        (lambda c, s: bulk(c, "job", "cancel", s.cancel_too), lambda s: _is_cancelled(s.cancel_too)),
        (lambda c, s: across(c, "job", "cancel", "unwanted"), lambda s: _is_cancelled(s.cancel_across)),
    ],
    "run_job": [
        (lambda c, s: c.post(address("job", "run", s.run)), lambda s: _is_ready(s.run)),
        (lambda c, s: bulk(c, "job", "run_now", s.run_too), lambda s: _is_ready(s.run_too)),
    ],
    "move_job": [
        (
            lambda c, s: bulk(c, "job", "move", s.move, priority="7"),
            lambda s: Job.objects.filter(pk=s.move, priority=7).exists(),
        )
    ],
    "enqueue_job": [
        (
            lambda c, s: c.post(address("job", "enqueue") + "?task=tests.tasks.nap", {"arg-seconds": "1"}),
            lambda s: Job.objects.filter(task_path="tests.tasks.nap").exists(),
        )
    ],
    "retry_result": [
        (lambda c, s: c.post(address("result", "retry", s.retry)), lambda s: _is_ready(s.retry)),
        (lambda c, s: bulk(c, "result", "retry", s.retry_too), lambda s: _is_ready(s.retry_too)),
        (lambda c, s: across(c, "result", "retry", "mended"), lambda s: _is_ready(s.retry_across)),
    ],
    "edit_result": [
        (
            lambda c, s: c.post(address("result", "edit", s.edit), {"arg-args": "[5]"}),
            lambda s: Job.objects.filter(parent_id=s.edit).exists(),
        )
    ],
    "delete_result": [
        (lambda c, s: c.post(address("result", "delete", s.delete), {"post": "yes"}), lambda s: _is_gone(s.delete)),
        (lambda c, s: bulk(c, "result", "delete_selected", s.delete_too), lambda s: _is_gone(s.delete_too)),
        (lambda c, s: across(c, "result", "delete_selected", "old"), lambda s: _is_gone(s.delete_across)),
    ],
    "drain_worker": [(lambda c, s: bulk(c, "worker", "drain", s.drain), lambda s: _is_asked(s.drain, "DRAIN"))],
    "stop_worker": [(lambda c, s: bulk(c, "worker", "stop", s.stop), lambda s: _is_asked(s.stop, "STOP"))],
    "pause_queue": [
        (
            lambda c, s: c.post(address("queue", "pause"), {"name": "default", "backend": "default"}),
            lambda s: Queue.objects.filter(name="default", paused=True).exists(),
        ),
        (
            lambda c, s: c.post(address("queue", "resume"), {"name": "held", "backend": "default"}),
            lambda s: Queue.objects.filter(name="held", paused=False).exists(),
        ),
    ],
    "run_schedule": [
        (lambda c, s: c.post(address("schedule", "run", s.fire)), lambda s: _has_run(s.fire)),
        (lambda c, s: bulk(c, "schedule", "run_now", s.fire_too), lambda s: _has_run(s.fire_too)),
    ],
    "pause_schedule": [
        (lambda c, s: c.post(address("schedule", "pause", s.stop_it)), lambda s: _is_paused(s.stop_it)),
        (lambda c, s: bulk(c, "schedule", "pause", s.stop_too), lambda s: _is_paused(s.stop_too)),
        (lambda c, s: c.post(address("schedule", "resume", s.stopped)), lambda s: not _is_paused(s.stopped)),
        (lambda c, s: bulk(c, "schedule", "resume", s.stopped_too), lambda s: not _is_paused(s.stopped_too)),
    ],
    "add_schedule": [
        (
            lambda c, s: c.post(address("schedule", "add"), SCHEDULE),
            lambda s: Schedule.objects.filter(name="made").exists(),
        )
    ],
    "change_schedule": [
        (
            lambda c, s: c.post(address("schedule", "change", s.change), SCHEDULE | {"name": "changed"}),
            lambda s: Schedule.objects.filter(name="changed").exists(),
        )
    ],
    "delete_schedule": [
        (
            lambda c, s: c.post(address("schedule", "delete", s.remove), {"post": "yes"}),
            lambda s: not Schedule.objects.filter(pk=s.remove).exists(),
        ),
        (
            lambda c, s: post_action(c, "schedule", "delete_selected", [s.remove_too], follow=False, post="yes"),
            lambda s: not Schedule.objects.filter(pk=s.remove_too).exists(),
        ),
    ],
}
# To look at everything.
LOOK = (*PERMISSIONS, "view_schedule")


def _is_cancelled(key: Any) -> bool:
    return Result.objects.filter(pk=key, status="CANCELLED").exists()


def _is_ready(key: Any) -> bool:
    return Job.objects.filter(pk=key, status="READY").exists()


def _is_gone(key: Any) -> bool:
    return not Result.objects.filter(pk=key).exists()


def _has_run(key: Any) -> bool:
    return ScheduleRun.objects.filter(schedule=key).exists()


def _is_paused(key: Any) -> bool:
    return Schedule.objects.filter(pk=key, paused=True).exists()


def _is_asked(key: Any, request: str) -> bool:
    return Worker.objects.filter(pk=key, request=request).exists()


@pytest.fixture
def scene() -> Any:
    """A row of its own for each action."""
    later = timedelta(hours=1)
    cancel, cancel_too, move = scenes.jobs(3)
    run, run_too = scenes.jobs(2, run_after=later)
    retry, retry_too, edit, delete, delete_too = scenes.results(5, "FAILED", queue_name="other")
    [cancel_across] = scenes.jobs(1, queue_name="unwanted")
    [retry_across] = scenes.results(1, "FAILED", queue_name="mended")
    [delete_across] = scenes.results(1, "FAILED", queue_name="old")
    drain, stop = scenes.add_worker("a").pk, scenes.add_worker("b").pk
    queues.pause("held")
    names = ("fire", "fire_too", "stop_it", "stop_too", "stopped", "stopped_too", "change", "remove", "remove_too")
    made = {name: schedules.create(name, every(hours=1), "tests.tasks.noop").pk for name in names}
    for name in ("stopped", "stopped_too"):
        schedules.pause(name)
    return SimpleNamespace(
        cancel=cancel, cancel_too=cancel_too, move=move, run=run, run_too=run_too, retry=retry, retry_too=retry_too,
        edit=edit, delete=delete, delete_too=delete_too, drain=drain, stop=stop, cancel_across=cancel_across,
        retry_across=retry_across, delete_across=delete_across, **made,
    )  # fmt: skip


def done(client: Client, scene: Any) -> dict[str, list[bool]]:
    """Post every action; return which of them were done, by permission."""
    for deeds in DEEDS.values():
        for post, _ in deeds:
            post(client, scene)
    return {name: [is_done(scene) for _, is_done in deeds] for name, deeds in DEEDS.items()}


def nothing_of(done: dict[str, list[bool]]) -> bool:
    return not any(map(any, done.values()))


@pytest.mark.parametrize("permission", [*DEEDS, None])
def test_a_permission_allows_its_action_and_no_other(log_in: LogIn, scene: Any, permission: str | None) -> None:
    client = log_in(*LOOK, *([permission] if permission else []))
    assert done(client, scene) == {name: [name == permission] * len(deeds) for name, deeds in DEEDS.items()}
    assert LogEntry.objects.exists() == (permission is not None)


def test_without_the_right_to_look_none_is_any_good(log_in: LogIn, scene: Any) -> None:
    # Users who may change a schedule may view it: Django does so everywhere.
    assert nothing_of(done(log_in(*(DEEDS.keys() - {"change_schedule"})), scene))
    assert not LogEntry.objects.exists()


def test_a_stranger_does_nothing(scene: Any) -> None:
    assert nothing_of(done(Client(), scene))


def test_without_the_token_nothing_is_done(log_in: LogIn, scene: Any) -> None:
    assert nothing_of(done(log_in(*LOOK, *DEEDS, enforce_csrf_checks=True), scene))


def test_a_get_does_nothing(admin_client: Client, scene: Any) -> None:
    for url in (
        address("job", "run", scene.run),
        address("result", "edit", scene.edit) + "?arg-args=[5]",
        address("job", "enqueue") + "?task=tests.tasks.nap&arg-seconds=1",
        address("schedule", "run", scene.fire),
        address("schedule", "pause", scene.stop_it),
        address("worker") + f"?action=stop&_selected_action={scene.stop}",
    ):
        assert admin_client.get(url, follow=True).status_code == 200
    assert not LogEntry.objects.exists()
    assert Job.objects.count() == 6


# what is seen

# By permission: the actions of the lists, and the buttons on the pages of rows, as "model: label".
OFFERED: dict[str, tuple[set[str], set[str]]] = {
    "cancel_job": ({"job cancel"}, {"job: Cancel"}),
    "run_job": ({"job run_now"}, {"job: Run now"}),
    "move_job": ({"job move"}, {"job: Move"}),
    "enqueue_job": (set(), set()),
    "retry_result": ({"result retry"}, {"result: Retry"}),
    "edit_result": (set(), {"result: Retry with other arguments"}),
    "delete_result": ({"result delete_selected"}, {"result: Delete"}),
    "drain_worker": ({"worker drain"}, {"worker: Drain"}),
    "stop_worker": ({"worker stop"}, {"worker: Stop"}),
    "pause_queue": (set(), set()),
    "run_schedule": ({"schedule run_now"}, {"schedule: Run now"}),
    "pause_schedule": ({"schedule pause", "schedule resume"}, {"schedule: Pause"}),
    "add_schedule": (set(), set()),
    "change_schedule": (set(), set()),
    "delete_schedule": ({"schedule delete_selected"}, set()),
}
LISTS = ("job", "result", "worker", "schedule")


@pytest.mark.parametrize("permission", [*OFFERED, None])
def test_a_permission_shows_its_action_and_no_other(log_in: LogIn, scene: Any, permission: str | None) -> None:
    client = log_in(*LOOK, *([permission] if permission else []))
    actions, buttons = OFFERED[permission] if permission else (set(), set())
    lists = {model: client.get(address(model)) for model in LISTS}
    assert {f"{model} {action}" for model, page in lists.items() for action in offered(page)} == actions
    keys = {"job": scene.run, "result": scene.retry, "worker": scene.stop, "schedule": scene.fire}
    pages = {model: client.get(address(model, "change", key)) for model, key in keys.items()}
    found = {f"{model}: {button['label']}" for model, page in pages.items() for button in page.context["buttons"]}
    assert found == buttons


@pytest.mark.parametrize("permission", [*OFFERED, None])
def test_what_has_a_page_of_its_own_is_led_to_by_its_permission(
    log_in: LogIn, scene: Any, permission: str | None
) -> None:
    client = log_in(*LOOK, *([permission] if permission else []))
    led = {
        "enqueue_job": address("job", "enqueue") in client.get(address("job")).content.decode(),
        "pause_queue": address("queue", "pause") in client.get(address("queue")).content.decode(),
        "add_schedule": address("schedule", "add") in client.get(address("schedule")).content.decode(),
        "retry_result": 'value="retry"' in client.get(address("result", "failures")).content.decode(),
        "delete_result": 'value="delete_selected"' in client.get(address("result", "failures")).content.decode(),
        "change_schedule": 'name="_save"' in client.get(address("schedule", "change", scene.change)).content.decode(),
    }
    assert led == {name: name == permission for name in led}
    opened = {
        "enqueue_job": client.get(address("job", "enqueue")).status_code,
        "edit_result": client.get(address("result", "edit", scene.edit)).status_code,
        "add_schedule": client.get(address("schedule", "add")).status_code,
    }
    assert opened == {name: 200 if name == permission else 403 for name in opened}


def test_with_no_permission_no_page_is_seen(log_in: LogIn, scene: Any) -> None:
    client = log_in()
    seen = [client.get(address(model)).status_code for model in (*LISTS, "queue")]
    seen += [client.get(address("result", "failures")).status_code, client.get(address("job", "enqueue")).status_code]
    assert set(seen) == {403}
    assert nothing_of(done(client, scene))
