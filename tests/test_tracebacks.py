import traceback
from typing import Any

import pytest

from django_tasks_q.tracebacks import LONGEST_GROUP, Frame, error_group, frames_of, is_own, split_traceback

OWN = Frame("/srv/shop/orders/tasks.py", 12, "charge")
FOREIGN = Frame("/srv/venv/lib/python3.13/site-packages/stripe/api.py", 99, "post")


@pytest.mark.parametrize(
    "file",
    [
        "/srv/venv/lib/python3.13/site-packages/stripe/api.py",
        "/usr/lib/python3/dist-packages/requests/api.py",
        "/usr/lib/python3.11/json/decoder.py",
        "/usr/local/lib64/python3.14t/asyncio/runners.py",
        "C:\\venv\\Lib\\site-packages\\x.py".replace("Lib", "lib"),
        "<frozen importlib._bootstrap>",
        "<string>",
        "/srv/src/django_tasks_q/worker/executor.py",
    ],
)
def test_installed_code_is_not_the_projects_own(file: str) -> None:
    assert not is_own(file)


@pytest.mark.parametrize("file", ["/srv/shop/tasks.py", "tasks.py", "/home/lib/shop/tasks.py", "C:\\shop\\tasks.py"])
def test_any_other_code_is(file: str) -> None:
    assert is_own(file)


def test_failures_are_alike_by_the_last_frame_of_the_projects_own() -> None:
    assert error_group("shop.NoStock", [OWN, FOREIGN]) == "shop.NoStock at orders/tasks.py:12 in charge"
    assert error_group("shop.NoStock", [FOREIGN]) == "shop.NoStock at stripe/api.py:99 in post"
    assert error_group("shop.NoStock", []) == "shop.NoStock"


@pytest.mark.parametrize("name", ["x" * 1_000, "\0", "\udc80", "ü" * 300])
def test_whatever_it_is_called_it_can_be_stored(name: str) -> None:
    for group in (error_group(name, [OWN]), error_group("E", [Frame(name, 1, name)])):
        assert 0 < len(group) <= LONGEST_GROUP
        assert "\0" not in group
        group.encode()


def fail() -> None:
    def inner() -> None:
        compile("(", "shop.txt", "exec")

    inner()


def raised() -> Any:
    try:
        try:
            fail()
        except SyntaxError as cause:
            raise ExceptionGroup("two", [ValueError('one\n  File "x", line 1\n'), cause]) from cause
    except ExceptionGroup as error:
        return error


def test_a_traceback_is_cut_and_nothing_of_it_is_lost() -> None:
    text = "".join(traceback.format_exception(raised()))
    passages = split_traceback(text)
    assert "".join(passage.text for passage in passages) == text
    own = [passage.text for passage in passages if passage.own]
    assert any("in fail" in passage and "inner()" in passage for passage in own)
    assert all(passage.text.startswith('  File "') for passage in passages if passage.own is not None)


def test_the_last_line_belongs_to_no_frame() -> None:
    text = 'Traceback (most recent call last):\n  File "/srv/a.py", line 1, in f\n    g()\n    ~^^\nValueError: no\n'
    assert [(passage.own, passage.text) for passage in split_traceback(text)] == [
        (None, "Traceback (most recent call last):\n"),
        (True, '  File "/srv/a.py", line 1, in f\n    g()\n    ~^^\n'),
        (None, "ValueError: no\n"),
    ]


@pytest.mark.parametrize(
    "text", ["", "\n", "no traceback at all", '  File "' + '"' * 5_000, '  File "a", line 1\n' * 3]
)
def test_any_text_can_be_cut(text: str) -> None:
    assert "".join(passage.text for passage in split_traceback(text)) == text


def test_the_frames_of_an_error_are_those_it_went_through() -> None:
    assert [frame.function for frame in frames_of(raised().__traceback__)] == ["raised"]
    assert [frame.function for frame in frames_of(raised().__cause__.__traceback__)] == ["raised", "fail", "inner"]
