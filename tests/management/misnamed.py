"""The tests' settings, with a database that does not exist on a server that does."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASE, DATABASES

DATABASES = {
    alias: {**given, "NAME": "/nowhere/at/all" if DATABASE == "sqlite" else "tests_of_nobody"}
    for alias, given in DATABASES.items()
}
