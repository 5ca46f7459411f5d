from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.db import connections
from django.test import override_settings

from django_tasks_q.compat import FRAMEWORK
from django_tasks_q.routers import TasksQRouter

# Django's own checks ask the database for its features.
pytestmark = pytest.mark.django_db(databases=["default", "queue"])
BACKEND = "django_tasks_q.backend.TasksQBackend"


def tasks(**options: Any) -> dict[str, Any]:
    return {"default": {"BACKEND": BACKEND, "QUEUES": [], "OPTIONS": options}}


def ours(messages: list[CheckMessage]) -> dict[str, CheckMessage]:
    return {message.id: message for message in messages if message.id and message.id.startswith("tasksq.")}


def messages_for(**options: Any) -> dict[str, CheckMessage]:
    with override_settings(TASKS=tasks(**options)):
        return ours(run_checks())


def test_good_settings_draw_no_message() -> None:
    assert ours(run_checks()) == {}
    assert messages_for(max_attempts=3, result_ttl=None, notifier="polling") == {}


@pytest.mark.parametrize(
    ("wrong", "right"), [("databse", "database"), ("RESULT_TTL", "result_ttl"), ("max_paylaod", "max_payload")]
)
def test_an_unknown_option_is_refused_with_the_nearest_one(wrong: str, right: str) -> None:
    message = messages_for(**{wrong: 1})["tasksq.E001"]
    assert f'"{wrong}"' in message.msg
    assert f'"{right}"' in str(message.hint)


def test_an_unknown_option_near_to_none_is_refused_with_all_of_them() -> None:
    assert "max_payload" in str(messages_for(zzz=1)["tasksq.E001"].hint)


@pytest.mark.parametrize(("name", "value"), [("timeout", -1), ("max_losses", 0), ("notifier", "carrier pigeon")])
def test_a_value_that_does_not_fit_is_refused(name: str, value: Any) -> None:
    message = messages_for(**{name: value})["tasksq.E002"]
    assert name in message.msg
    assert repr(value) in message.msg


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("OPTION", "OPTIONS"), ("options", "OPTIONS"), ("QUEUE", "QUEUES"), ("max_attempts", "BACKEND")],
)
def test_a_key_beside_options_draws_a_warning_with_the_nearest_one(wrong: str, right: str) -> None:
    with override_settings(TASKS={"default": {**tasks()["default"], wrong: {}}}):
        found = ours(run_checks())
    assert set(found) == {"tasksq.W010"}
    assert f'"{wrong}"' in found["tasksq.W010"].msg
    assert right in str(found["tasksq.W010"].hint)


@pytest.mark.parametrize("path", ["django_tasks_q.TasksQBackend", "django_tasks_q.backends.TasksQBackend"])
def test_a_wrong_path_to_our_backend_draws_a_warning_with_the_right_one(path: str) -> None:
    with override_settings(TASKS={"default": {"BACKEND": path}}):
        found = ours(run_checks())
    assert found["tasksq.W009"].hint == f'Did you mean "{BACKEND}"?'


def test_a_package_with_a_longer_name_is_another_one() -> None:
    path = "django_tasks_q_more.backend.Backend"
    with override_settings(TASKS={"default": {"BACKEND": path}}):
        assert path in str(ours(run_checks())["tasksq.W009"].hint)


def test_the_keys_of_others_are_their_own() -> None:
    other = {"BACKEND": f"{FRAMEWORK}.backends.dummy.DummyBackend", "OPTION": {}}
    with override_settings(TASKS={**tasks(), "other": other}):
        assert ours(run_checks()) == {}


@pytest.mark.parametrize("queues", ["mail", ["mail", 1], ["mail", ""], None, 5, [["mail"]]])
def test_queues_that_are_no_list_of_names_are_refused(queues: Any) -> None:
    """Even those of which the framework cannot make a backend: once, and the database is not asked for anything."""
    with override_settings(TASKS={"default": {"BACKEND": BACKEND, "QUEUES": queues}}):
        found = ours(run_checks(databases=["default"]))
    assert set(found) == {"tasksq.E010"}
    assert repr(queues) in found["tasksq.E010"].msg


def test_a_database_that_is_not_there_is_refused() -> None:
    message = messages_for(database="nowhere")["tasksq.E003"]
    assert '"nowhere"' in message.msg
    assert "default" in str(message.hint)


def test_a_database_that_no_router_knows_is_refused(settings: Any) -> None:
    settings.TASKS = tasks(database="queue")
    settings.DATABASE_ROUTERS = []
    assert "TasksQRouter" in str(ours(run_checks())["tasksq.E005"].hint)


def test_the_router_is_the_remedy(settings: Any) -> None:
    settings.TASKS = tasks(database="queue")
    settings.DATABASE_ROUTERS = ["django_tasks_q.routers.TasksQRouter"]
    assert "tasksq.E005" not in ours(run_checks())


def test_the_router_sends_this_app_there_and_nothing_else(settings: Any) -> None:
    settings.TASKS = tasks(database="queue")
    router = TasksQRouter()
    assert router.allow_migrate("queue", "django_tasks_q") is True
    assert router.allow_migrate("default", "django_tasks_q") is False
    assert router.allow_migrate("default", "auth") is None
    assert router.allow_migrate("queue", "auth") is None


def test_a_notifier_without_its_redis_is_refused(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    message = messages_for(notifier="redis")["tasksq.E006"]
    assert "LocMemCache" in message.msg


@pytest.mark.only_on("postgresql")
def test_a_transaction_pooler_draws_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert "redis" in str(messages_for(notifier="postgresql")["tasksq.W004"].hint)
    # Without a word they poll.
    assert messages_for(notifier="auto") == messages_for(notifier="polling") == {}


@pytest.mark.only_on("sqlite")
def test_deferred_transactions_draw_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict["OPTIONS"], "transaction_mode", None)
    assert "IMMEDIATE" in str(ours(run_checks())["tasksq.W002"].hint)


@pytest.mark.only_on("sqlite")
@pytest.mark.django_db(databases=["default", "queue"], transaction=True)
def test_another_journal_than_the_write_ahead_log_draws_a_warning() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode=DELETE")
        try:
            assert "WAL" in str(ours(run_checks(databases=["default"]))["tasksq.W001"].hint)
        finally:
            cursor.execute("PRAGMA journal_mode=WAL")
    assert "tasksq.W001" not in ours(run_checks(databases=["default"]))


def test_a_database_that_is_new_enough_draws_no_message() -> None:
    assert ours(run_checks(databases=["default"])) == {}


@pytest.mark.only_on("postgresql", "mysql")
def test_who_deploys_is_told_of_a_new_connection_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", 0)
    assert "tasksq.W005" in ours(run_checks(include_deployment_checks=True, databases=["default"]))
    assert "tasksq.W005" not in ours(run_checks(databases=["default"]))


def test_a_database_without_autocommit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "AUTOCOMMIT", False)
    assert "atomic" in str(ours(run_checks())["tasksq.E007"].hint)
