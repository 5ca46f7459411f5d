"""The URLs of the admin's pages, and what they show."""

import re
from collections.abc import Iterable
from html import unescape
from typing import Any

from django.urls import reverse

__all__ = ["address", "after", "confirm", "offered", "post_action", "rows", "text"]


def address(model: str, view: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:django_tasks_q_{model}_{view}", args=args)


def post_action(client: Any, model: str, action: str, keys: Iterable[Any], *, follow: bool = True, **data: Any) -> Any:
    """Choose an action of a list for these rows, and follow the redirect."""
    form = {"action": action, "index": 0, "_selected_action": [str(key) for key in keys], **data}
    return client.post(address(model), form, follow=follow)


def confirm(client: Any, question: Any, *, follow: bool = True, **data: Any) -> Any:
    """Press the button of a page that asks for confirmation, or shows progress. data: the rest of its form."""
    hidden: dict[str, Any] = {}
    for name, value in question.context["hidden"]:
        hidden.setdefault(name, []).append(value)
    return client.post(question.context["back"], hidden | data, follow=follow)


def offered(response: Any) -> set[str]:
    """Return the names of the actions that a list offers."""
    form = response.context["action_form"]
    return {name for name, _ in form.fields["action"].choices if name} if form else set()


def rows(response: Any) -> list[Any]:
    """Return the keys of the rows that a list shows, in their order."""
    return [row.pk for row in response.context["cl"].result_list]


def after(response: Any) -> list[str]:
    """Return what the user was told."""
    return [str(message) for message in response.context["messages"]]


def text(response: Any) -> str:
    """Return what a user sees of a page: without tags, and with single spaces."""
    body = response.content.decode()
    main = body[body.index('id="content"') :] if 'id="content"' in body else body
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())
