"""The tests' settings, with a database that does not answer."""

from tests.settings import *  # noqa: F403
from tests.settings import DATABASE, DATABASES

DATABASES = {
    alias: {**given, **({"NAME": "/nowhere/at/all"} if DATABASE == "sqlite" else {"HOST": "127.0.0.1", "PORT": "1"})}
    for alias, given in DATABASES.items()
}
