import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_tasks_q import aenqueue, aenqueue_many, enqueue, enqueue_many, enqueue_on_commit
from django_tasks_q.compat import FRAMEWORK, InvalidTask
from django_tasks_q.exceptions import UnserializableError
from django_tasks_q.models import Job

from .tasks import add, echo, noop

pytestmark = pytest.mark.django_db
INSERT = re.compile("INSERT INTO|COPY")


class Refused(Exception):
    pass


def stored() -> list[tuple[str, Any, Any]]:
    return [(job.task_path, job.args, job.kwargs) for job in Job.objects.order_by("id")]


# One


def test_enqueue_takes_a_task_or_its_path() -> None:
    first, second = enqueue(add, 1, b=2), enqueue("tests.tasks.add", 3, b=4)
    assert first.task == second.task == add
    assert stored() == [("tests.tasks.add", [1], {"b": 2}), ("tests.tasks.add", [3], {"b": 4})]


def test_names_of_ours_are_free_for_the_tasks_own_arguments() -> None:
    enqueue(echo, task="a", args=[1], kwargs={}, backend=2)
    assert Job.objects.get().kwargs == {"task": "a", "args": [1], "kwargs": {}, "backend": 2}


@pytest.mark.parametrize("path", ["tests.tasks.nothing", "tests.nowhere.add", "os.getpid", "add", ""])
def test_a_path_without_a_task_is_refused(path: str) -> None:
    with pytest.raises(InvalidTask, match="There is no task at"):
        enqueue(path, 1)


def test_a_function_without_the_decorator_is_refused() -> None:
    with pytest.raises(InvalidTask, match="<built-in function print> is not a task. Give a function with a @task"):
        enqueue(print)  # type: ignore[call-overload]


def test_a_mistake_inside_a_tasks_module_is_not_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "broken_tasks.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidTask, match="No module named 'a_module_that_nobody_has'"):
        enqueue("broken_tasks.anything")


def test_aenqueue_is_the_same() -> None:
    result = async_to_sync(aenqueue)(add, 1, b=2)
    assert add.get_result(result.id) == result


def test_aenqueue_stores_jobs() -> None:
    async def enqueue_two() -> list[Any]:
        return [await aenqueue("tests.tasks.add", 1, b=2), *await aenqueue_many([(add, (3,), {"b": 4})])]

    results = async_to_sync(enqueue_two)()
    assert [str(job.id) for job in Job.objects.order_by("id")] == [result.id for result in results]


def test_one_call_is_one_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        enqueue(add, 1, 2)


# The caller's transaction


@pytest.mark.django_db(transaction=True)
def test_a_job_is_rolled_back_with_its_transaction() -> None:
    with transaction.atomic():
        enqueue(add, 1, 2)
        enqueue_many([(add, (1, 2), {})] * 3)
        assert Job.objects.count() == 4
        transaction.set_rollback(True)
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_is_rolled_back_with_its_savepoint_alone() -> None:
    with transaction.atomic():
        kept = enqueue(add, 1, 2)
        with transaction.atomic():
            enqueue(add, 3, 4)
            transaction.set_rollback(True)
        also_kept = enqueue(add, 5, 6)
    assert [str(job.id) for job in Job.objects.order_by("id")] == [kept.id, also_kept.id]


@pytest.mark.django_db(transaction=True)
def test_nobody_sees_a_job_before_the_commit() -> None:
    other = connections["default"].copy()
    try:
        with transaction.atomic():
            enqueue(add, 1, 2)
            with other.cursor() as cursor:
                cursor.execute("SELECT COUNT(*) FROM django_tasks_q_job")
                assert cursor.fetchone()[0] == 0
        with other.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM django_tasks_q_job")
            assert cursor.fetchone()[0] == 1
    finally:
        other.close()


# enqueue_on_commit


@pytest.mark.django_db(transaction=True)
def test_enqueue_on_commit_waits_for_the_commit() -> None:
    with transaction.atomic():
        enqueue_on_commit(add, 1, 2)
        add.enqueue_on_commit(3, b=4)
        assert not Job.objects.exists()
    assert stored() == [("tests.tasks.add", [1, 2], {}), ("tests.tasks.add", [3], {"b": 4})]


@pytest.mark.django_db(transaction=True)
def test_enqueue_on_commit_forgets_what_was_rolled_back() -> None:
    with transaction.atomic():
        enqueue_on_commit("tests.tasks.add", 1, 2)
        transaction.set_rollback(True)
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_enqueue_on_commit_is_now_where_there_is_no_transaction() -> None:
    enqueue_on_commit(add, 1, 2)
    assert Job.objects.count() == 1


def test_enqueue_on_commit_refuses_what_is_wrong_at_once(django_capture_on_commit_callbacks: Any) -> None:
    with django_capture_on_commit_callbacks() as callbacks:
        with pytest.raises(UnserializableError, match=r"args\[0\] is a set"):
            enqueue_on_commit(add, {1}, 2)
        with pytest.raises(InvalidTask):
            enqueue_on_commit(add.using(queue_name=""), 1, 2)
    assert callbacks == []


@pytest.mark.django_db(transaction=True)
def test_enqueue_on_commit_stores_the_arguments_as_they_were() -> None:
    value = [1]
    with transaction.atomic():
        enqueue_on_commit(noop, value)
        value.append(2)
    assert Job.objects.get().args == [[1]]


# Many


def test_many_are_stored_in_order_and_answered_in_order() -> None:
    results = enqueue_many((echo.using(priority=number % 3), (number,), {"n": number}) for number in range(25))
    assert [result.args for result in results] == [[number] for number in range(25)]
    assert [str(job.id) for job in Job.objects.order_by("id")] == [result.id for result in results]
    assert [job.priority for job in Job.objects.order_by("id")] == [number % 3 for number in range(25)]


def test_none_are_no_statement(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert enqueue_many([]) == []


def test_many_take_paths_too() -> None:
    enqueue_many([("tests.tasks.add", (1, 2), {}), (noop, [], {})])
    assert [path for path, _, _ in stored()] == ["tests.tasks.add", "tests.tasks.noop"]


def test_many_are_one_statement_for_each_thousand() -> None:
    with CaptureQueriesContext(connection) as queries:
        enqueue_many([(add, (number, 1), {}) for number in range(2_500)])
    assert len([query for query in queries if INSERT.search(query["sql"])]) == 3
    assert Job.objects.count() == 2_500


@pytest.mark.django_db(transaction=True)
def test_all_or_none_are_stored() -> None:
    calls: list[Any] = [(add, (number, 1), {}) for number in range(1_500)]
    with pytest.raises(UnserializableError, match=r"args\[1\] is a set"):
        enqueue_many([*calls, (add, (1, {2}), {})])
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_all_or_none_are_stored_where_the_database_refuses_the_last() -> None:
    connection.execute_wrappers.append(refuse_the_second_insert())
    try:
        with pytest.raises(Refused):
            enqueue_many([(add, (number, 1), {}) for number in range(1_500)])
    finally:
        connection.execute_wrappers.pop()
    assert not Job.objects.exists()


def refuse_the_second_insert() -> Any:
    seen = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.extend([sql] if INSERT.search(sql) else [])
        if len(seen) > 1:
            raise Refused
        return execute(sql, params, many, context)

    return wrapper


@pytest.mark.django_db(transaction=True, databases=["default", "queue"])
def test_many_go_to_their_backends_and_come_back_in_order() -> None:
    calls: list[Any] = [
        (add.using(backend=("default", "elsewhere")[number % 2]), (number, 1), {}) for number in range(6)
    ]
    results = enqueue_many(calls)
    assert [result.args[0] for result in results] == list(range(6))
    assert [job.args[0] for job in Job.objects.using("default").order_by("id")] == [0, 2, 4]
    assert [job.args[0] for job in Job.objects.using("queue").order_by("id")] == [1, 3, 5]


@pytest.mark.parametrize("kind", ["immediate.ImmediateBackend", "dummy.DummyBackend"])
def test_the_frameworks_own_backends_take_every_form_of_a_call(settings: Any, kind: str) -> None:
    settings.TASKS = {"default": {"BACKEND": f"{FRAMEWORK}.backends.{kind}", "QUEUES": []}}
    results = enqueue_many([(add, (number, 1), {}) for number in range(3)])
    assert [result.args for result in results] == [[0, 1], [1, 1], [2, 1]]
    enqueue_on_commit(add, 1, 2)
    add.enqueue_on_commit(1, 2)
    assert enqueue("tests.tasks.add", 1, 2).args == [1, 2]
    assert stored() == []


@pytest.mark.parametrize("call", [add, (add, 1), (add, (1,), {}, 2), "tests.tasks.add"])
def test_what_is_not_a_call_is_refused_with_its_place(call: Any) -> None:
    with pytest.raises(TypeError, match=r"Call 1 .* must be \(task, args, kwargs\)"):
        enqueue_many([(add, (1, 2), {}), call])
    assert stored() == []


# The calls of one task


def test_a_task_enqueues_many_of_its_own() -> None:
    results = add.using(priority=7).enqueue_many([(1, 2), [3, 4], {"a": 5, "b": 6}])
    assert stored() == [
        ("tests.tasks.add", [1, 2], {}), ("tests.tasks.add", [3, 4], {}), ("tests.tasks.add", [], {"a": 5, "b": 6}),
    ]  # fmt: skip
    assert [result.id for result in results] == [str(job.pk) for job in Job.objects.order_by("id")]
    assert set(Job.objects.values_list("priority", flat=True)) == {7}
    assert noop.enqueue_many(()) == []


def test_it_takes_what_is_made_on_the_way_and_in_one_statement() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert len(echo.enqueue_many((number,) for number in range(900))) == 900
    assert len([query for query in queries if INSERT.search(query["sql"])]) == 1


def test_it_has_an_async_kin() -> None:
    assert len(async_to_sync(add.aenqueue_many)([(1, 2), (3, 4)])) == 2
    assert Job.objects.count() == 2


@pytest.mark.parametrize("given", ["ann", 5, {1}, None, b"x"])
def test_an_item_is_arguments_and_never_a_single_one(given: Any) -> None:
    with pytest.raises(
        TypeError, match=r"^Call 1 of enqueue_many\(\) must be a tuple or list of arguments, or a dict"
    ):
        echo.enqueue_many([(1,), given])
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ((echo, "ann", {}), r"Call 1 of enqueue_many\(\): args must be a tuple or list, not 'ann'\. .* \('ann',\)\."),
        ((echo, b"ann", {}), r"Call 1 .* not b'ann'"),
        ((echo, 5, {}), r"Call 1 .* args must be a tuple or list, not 5"),
        ((echo, {1}, {}), r"Call 1 .* args must be a tuple or list, not \{1\}"),
        ((echo, (), [1]), r"Call 1 .* kwargs must be a dict, not \[1\]"),
        ((echo, ()), r"Call 1 of enqueue_many\(\) must be \(task, args, kwargs\)"),
    ],
)
def test_a_text_is_no_arguments(call: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        enqueue_many([(echo, (1,), {}), call])
    assert not Job.objects.exists()
