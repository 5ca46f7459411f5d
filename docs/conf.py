"""Sphinx: `tox -e docs`, or sphinx-build -W -b html docs docs/_build/html."""

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import django
from django.conf import settings
from sphinx.pycode import ModuleAnalyzer

settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_tasks_q"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TASKS={"default": {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": []}},
)
django.setup()

import django_tasks_q  # noqa: E402 (the settings come first)

project = "django_tasks_q"
author = "the django_tasks_q contributors"
project_copyright = f"2026, {author}"
version = release = django_tasks_q.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = False
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
# One parameter to a line where they do not fit into one.
python_maximum_signature_line_length = 88
python_use_unqualified_type_names = True
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"django_tasks_q {release}"

SENTENCES = re.compile(r"(?<=[.;]) (?=\w+: |Raise )")


def mark_names(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Make parameters of what the docstrings list as `name: meaning`."""
    known = known_names(thing)
    paragraphs = "\n".join(lines).strip().split("\n\n")
    lines[:] = "\n\n".join(mark_paragraph(text, known) for text in paragraphs).split("\n")


def mark_paragraph(text: str, known: set[str]) -> str:
    if text.partition(":")[0] not in known:
        return text
    marked = []
    for sentence in SENTENCES.split(" ".join(text.split())):
        name, _, meaning = sentence.partition(": ")
        marked.append(f":param {name}: {meaning}" if name in known else f"\n{sentence}\n")
    return "\n".join(marked)


def known_names(thing: Any) -> set[str]:
    """Return what the thing takes: the parameters of a function, the fields of a class."""
    code = getattr(thing, "__code__", None)
    fields = getattr(thing, "__dataclass_fields__", {})
    return set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) if code else set(fields)


def forget_overloads(module: str) -> None:
    """Show the signatures that the reference gives: those of overloads are for type checkers."""
    analyzer = ModuleAnalyzer.for_module(module)
    analyzer.analyze()
    analyzer.overloads.clear()


def setup(app: Any) -> None:
    for module in ("django_tasks_q.shortcuts", "django_tasks_q.task"):
        forget_overloads(module)
    app.connect("autodoc-process-docstring", mark_names)
