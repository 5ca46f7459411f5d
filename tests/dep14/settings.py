"""The settings of the tests, and what Django's own tests of the Tasks framework have among theirs: a broken entry."""

from tests.settings import *  # noqa: F403
from tests.settings import TASKS as _TASKS

TASKS = {**_TASKS, "missing": {"BACKEND": "does.not.exist"}}
