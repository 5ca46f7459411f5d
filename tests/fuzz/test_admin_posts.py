"""Any form and any address: the admin answers, and never with an error of its own."""

from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import example, given
from hypothesis import strategies as st

from tests import scenes
from tests.admin.conftest import one_backend
from tests.admin.pages import address
from tests.hypotheses import NAMES, TEXT, examples

__all__ = ["one_backend"]

pytestmark = pytest.mark.django_db
MODELS = st.sampled_from(["job", "result", "worker", "queue"])
FIELDS = [
    "action", "_selected_action", "index", "select_across", "confirmed", "ids", "name", "backend", "post",
    "status", "queue", "task", "worker", "q", "p", "o", "e", "all", "enqueued", "cursor", "before", "after",
]  # fmt: skip
ACTIONS = [
    "cancel",
    "retry",
    "delete_selected",
    "delete",
    "pause",
    "resume",
    "yes",
    "1",
    "0",
    "-1",
    "9" * 30,
    "default",
]
VALUES = NAMES | st.sampled_from(ACTIONS) | st.text(max_size=5) | st.uuids().map(str) | st.integers().map(str)
FORMS = st.dictionaries(st.sampled_from(FIELDS) | NAMES, VALUES | st.lists(VALUES, max_size=3), max_size=6)


def answers(response: Any) -> bool:
    return 200 <= response.status_code < 500


@examples(25)
@given(model=MODELS, form=FORMS, across=st.booleans())
@example(model="job", form={"action": "cancel", "_selected_action": ["x", "\0"], "index": "0"}, across=False)
@example(model="result", form={"action": "retry", "_selected_action": ["1"], "index": "z"}, across=True)
def test_any_action_of_a_list_is_answered(
    admin_client: Client, model: str, form: dict[str, Any], across: bool
) -> None:
    with transaction.atomic():
        keys = [str(key) for key in (*scenes.jobs(), *scenes.results(status="FAILED"))]
        form = {"_selected_action": keys, "index": "0", **form} if across else form
        assert answers(admin_client.post(address(model), form, follow=True))
        transaction.set_rollback(True)


@examples(25)
@given(form=FORMS, name=VALUES, deed=st.sampled_from(["pause", "resume"]))
@example(form={}, name="\0", deed="pause")
def test_any_pause_is_answered(admin_client: Client, form: dict[str, Any], name: str, deed: str) -> None:
    with transaction.atomic():
        answer = admin_client.post(address("queue", deed), {"name": name, "backend": "default", **form}, follow=True)
        assert answers(answer)
        transaction.set_rollback(True)


@examples(25)
@given(model=MODELS, query=FORMS)
@example(model="job", query={"status": "\0", "p": "-1"})
@example(model="result", query={"queue": "\0", "o": "1.2.x", "e": "1"})
def test_any_query_is_answered(admin_client: Client, model: str, query: dict[str, Any]) -> None:
    assert answers(admin_client.get(address(model), query, follow=True))


@examples(25)
@given(
    page=st.sampled_from(["job/{}/cancel/", "result/{}/retry/", "{}/{}/change/", "{}/{}/delete/", "{}/{}/history/"]),
    model=MODELS,
    key=TEXT.filter(bool) | st.uuids().map(str),
    form=FORMS,
    post=st.booleans(),
)
def test_any_address_is_answered(
    admin_client: Client, page: str, model: str, key: str, form: dict[str, Any], post: bool
) -> None:
    encoded = quote(key.encode("utf-8", "surrogatepass"), safe="")
    path = page.format(model, encoded) if page.startswith("{}") else page.format(encoded)
    ask = admin_client.post if post else admin_client.get
    assert answers(ask(f"/admin/django_tasks_q/{path}", form, follow=True))
