"""Calls by an operator: new ones, and old ones with other arguments."""

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from django_tasks_q import task
from django_tasks_q.admin.forms import CallForm
from django_tasks_q.models import Job, Result

from ... import scenes
from ...tasks import add, describe_context, noop
from ..pages import address, after, text

pytestmark = pytest.mark.django_db


@task(takes_context=True)
def everything(
    context: Any, first: Any, /, name: str, number: int = 3, *rest: Any, flag: bool = False, **others: Any
) -> None: ...


def filled(**given: str) -> CallForm:
    form = CallForm(everything, {f"arg-{name}": value for name, value in given.items()})
    assert form.is_valid(), form.errors
    return form


def test_each_parameter_has_a_field_that_suits_it() -> None:
    form = CallForm(everything)
    assert [field.label for field in form] == [
        "first (Any)",
        "name (str)",
        "number (int)",
        "*rest",
        "flag (bool)",
        "**others",
    ]
    assert [field.field.required for field in form] == [True, True, False, False, False, False]
    assert form["arg-number"].help_text == "If empty: 3"


@pytest.mark.parametrize(
    ("given", "args", "kwargs"),
    [
        ({"first": "1", "name": "Ann"}, [1, "Ann"], {}),
        ({"first": "[1]", "name": " "}, [[1], " "], {}),
        ({"first": "null", "name": " 5 ", "number": "7"}, [None, " 5 ", 7], {}),
        ({"first": "1", "name": "x", "flag": "true"}, [1, "x"], {"flag": True}),
        ({"first": "1", "name": "x", "number": "7", "rest": "[1, 2]"}, [1, "x", 7, 1, 2], {}),
        ({"first": "1", "name": "x", "others": '{"a": 1}'}, [1, "x"], {"a": 1}),
    ],
)
def test_the_fields_make_a_call(given: dict[str, str], args: list[Any], kwargs: dict[str, Any]) -> None:
    assert filled(**given).call == (args, kwargs)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("first", "", "This field is required."),
        ("name", "", "This field is required."),
        ("first", "Ann", "Text needs quotes."),
        ("first", "[" * 100_000, "This is not valid JSON"),
        ("number", "x", "Enter a whole number."),
        ("rest", "{}", "This must be a list"),
        ("others", "[1]", "This must be an object"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, value: str, complaint: str) -> None:
    form = CallForm(everything, {"arg-first": "1", f"arg-{name}": value})
    assert not form.is_valid()
    assert complaint in str(form.errors[f"arg-{name}"])


def test_a_text_that_was_empty_may_stay_so() -> None:
    form = CallForm(everything, {"arg-first": "1", "arg-name": ""}, [1, ""])
    assert form.is_valid()
    assert form.call == ([1, ""], {})


def test_the_fields_begin_with_the_arguments_of_the_call() -> None:
    form = CallForm(everything, None, [{"a": "é"}, 5, 7, 8], {"flag": None, "z": 1})
    begun = {field.name.removeprefix("arg-"): field.initial for field in form}
    assert form.fits
    # A name that is not text is shown as JSON.
    assert (json.loads(begun["first"]), begun["name"], begun["number"]) == ({"a": "é"}, "5", 7)
    assert (begun["rest"], begun["flag"], begun["others"]) == ("[8]", "null", '{"z": 1}')
    assert not CallForm(add, None, [1, 2, 3]).fits


# pages


def edit(client: Client, key: Any, **given: str) -> Any:
    return client.post(
        address("result", "edit", key), {f"arg-{name}": value for name, value in given.items()}, follow=True
    )


def test_a_retry_with_other_arguments_begins_with_the_old_ones(admin_client: Client) -> None:
    [old] = scenes.results(status="FAILED", task=add, args=[1, "x"])
    page = admin_client.get(address("result", "edit", old))
    assert 'value="1"' in page.content.decode()
    assert "&quot;x&quot;" in page.content.decode()
    response = edit(admin_client, old, a="1", b="2")
    job = Job.objects.get()
    assert (job.args, job.parent_id) == ([1, 2], old)
    assert response.redirect_chain[-1][0] == address("job", "change", job.pk)
    assert str(old) in text(response)
    history = {(entry.object_id, entry.change_message) for entry in LogEntry.objects.all()}
    assert history == {
        (str(old), f"Retried with other arguments as {job.pk}."),
        (str(job.pk), f"Enqueued as a retry of {old} with other arguments."),
    }


def test_arguments_that_the_task_does_not_take_are_refused_in_words(admin_client: Client) -> None:
    [old] = scenes.results(status="FAILED", task=add, args=[1, 2])
    Result.objects.update(args=[1, 2, 3])
    page = admin_client.get(address("result", "edit", old))
    assert "no longer accepts those arguments" in text(page)
    assert "This field is required." in text(edit(admin_client, old, a="1"))
    big = edit(admin_client, old, a="1", b=str(2**70))
    assert "is an integer of 71 bits" in after(big)[0]
    Result.objects.update(task_path="tests.tasks.<b>gone</b>")
    gone = edit(admin_client, old, a="1", b="2")
    assert "There is no task at" in after(gone)[0]
    assert "<b>gone" not in gone.content.decode()
    assert not Job.objects.exists()


@pytest.mark.parametrize("damage", [{"args": "x"}, {"kwargs": [1]}, {"options": 5}, {"args": [[]] * 3}])
def test_a_damaged_row_can_be_fixed(admin_client: Client, damage: dict[str, Any]) -> None:
    [old] = scenes.results(status="FAILED", task=add, args=[1, 2])
    Result.objects.update(**damage)
    assert admin_client.get(address("result", "edit", old)).status_code == 200
    assert edit(admin_client, old, a="1", b="2").status_code == 200


def test_a_task_is_chosen_and_then_its_arguments(admin_client: Client) -> None:
    url = address("job", "enqueue")
    assert "?task=tests.tasks.add" in admin_client.get(url).content.decode()
    assert url in admin_client.get(address("job")).content.decode()
    assert "a (int)" in text(admin_client.get(url, {"task": add.module_path}))
    form = {"arg-a": "1", "arg-b": "2", "queue": "mail", "priority": "-3", "delay": "60"}
    response = admin_client.post(f"{url}?task={add.module_path}", form, follow=True)
    job = Job.objects.get()
    assert (job.args, job.queue_name, job.priority, job.status) == ([1, 2], "mail", -3, "SCHEDULED")
    assert after(response) == [f"The job {job.pk} was enqueued."]
    assert LogEntry.objects.get().change_message == "Enqueued."
    for name in (describe_context, noop):
        admin_client.post(f"{url}?task={name.module_path}", {"arg-args": "[5]"})
        assert [job.args for job in Job.objects.filter(task_path=name.module_path)] == [[5]]


@pytest.mark.parametrize("path", ["os.system", "this.s", "tests.worker.broken.nothing", "\0", "<b>"])
def test_only_what_is_known_is_loaded(admin_client: Client, path: str) -> None:
    page = admin_client.post(f"{address('job', 'enqueue')}?task={path}", {"arg-args": "[]"})
    assert "Choose a task." in text(page)
    assert not Job.objects.exists()
