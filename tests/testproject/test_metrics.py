import ast
import inspect
import textwrap

import django
import pytest
from analyser.metrics import Metrics, complexity, measure
from analyser.packages import read_source

SHOP = b'''"""A shop."""
import os


class Shop:
    def price(self, item):
        if item.is_cheap and item.is_new:
            return 1
        return 2 if item.is_old else 3

    class Shelf:
        async def fill(self, items):
            async for item in items:
                while item:
                    try:
                        item.put()
                    except OSError:
                        break
                    except (TypeError, ValueError) as error:
                        raise error


def main():
    def never():
        if 1 and 2 and 3 and 4 and 5 and 6:
            return [x for y in z if y for x in y if x if y]
    return Shop()
'''


def measured(source: str) -> int:
    tree = ast.parse(textwrap.dedent(source))
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    return complexity(function)


def test_counts_a_file_by_hand() -> None:
    assert measure(SHOP) == Metrics(
        lines=27, functions=4, classes=2, most_complex="main.never", most_complex_line=24, complexity=12
    )


def test_counts_a_file_of_django() -> None:
    metrics = measure(read_source("django", "django/__init__.py"))
    lines = inspect.getsource(django).count("\n")
    assert metrics == Metrics(lines, 1, 0, "setup", metrics.most_complex_line, 3)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(): pass", 1),
        ("def f():\n    if a: pass\n    elif b: pass\n    else: pass", 3),
        ("def f():\n    for a in b: pass\n    else: pass", 2),
        ("def f(): return a or b or c", 3),
        ("def f(): return {a: b for a in c if d}", 3),
        ("def f(): return lambda: a if b else c", 2),
        ("def f():\n    with a, b: assert c", 1),
        ("def f():\n    match a:\n        case 1: pass\n        case 2 | 3: pass\n        case _: pass", 3),
        ("def f():\n    match a:\n        case _ if b: pass\n        case x: pass", 2),
        ("def f():\n    def g():\n        if a: pass", 1),
    ],
)
def test_complexity_is_one_and_one_for_each_branch(source: str, expected: int) -> None:
    assert measured(source) == expected


@pytest.mark.parametrize(
    ("source", "error"),
    [
        (b"a = 1\ndef f(:\n    pass\n", "SyntaxError: invalid syntax (line 2)"),
        (b"\x00", "source code string cannot contain null bytes"),
        (b"# coding: klingon\n", "SyntaxError: unknown encoding: klingon"),
        (b"a = '\xff'\n", "SyntaxError: "),
        (b"(" * 100_000, "too many nested parentheses"),
        (b"a = " + b"-" * 100_000 + b"1", "Error"),
    ],
)
def test_a_file_that_does_not_parse_is_reported(source: bytes, error: str) -> None:
    metrics = measure(source)
    assert error in metrics.error
    assert metrics == Metrics(lines=len(source.splitlines()), error=metrics.error)


def test_reads_the_encoding_that_a_file_declares() -> None:
    assert measure("# coding: latin-1\ndef für(): pass\n".encode("latin-1")).most_complex == "für"


def test_an_empty_file_has_nothing() -> None:
    assert measure(b"") == Metrics(lines=0)


def test_deep_nesting_is_no_recursion() -> None:
    assert measure(("a = " + "b + " * 2_000 + "c").encode()).error == ""


def test_warnings_of_other_people_s_code_are_not_ours() -> None:
    assert measure(b"a = '\\d'\nif a is 'b': pass\n").error == ""
