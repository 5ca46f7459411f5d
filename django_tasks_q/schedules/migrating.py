"""What `migrate` does about schedules: the release that is being deployed decides."""

import logging
from typing import Any

from ..backend import aliases_in
from ..brokers import get_broker
from ..discovery import Discovered, import_tasks
from ..models import Schedule
from .declaring import find_declarations
from .syncing import Synchronised, synchronise

__all__ = ["synchronise_after_migrate", "synchronise_declared"]


def synchronise_after_migrate(*, using: str, verbosity: int = 1, apps: Any = None, **kwargs: object) -> None:
    """Synchronise the rows in a database with the code, once its tables are those of this release.

    verbosity: of the command; with 0, as when a TransactionTestCase empties the database, what was done is logged at
    DEBUG instead of INFO.
    """
    aliases = aliases_in(using)
    if aliases and (apps is None or _is_current(apps)):
        discovered = import_tasks()
        for alias in aliases:
            synchronise_declared(alias, discovered, level=logging.INFO if verbosity else logging.DEBUG)


def synchronise_declared(alias: str, discovered: Discovered, *, level: int = logging.INFO) -> Synchronised:
    """Synchronise the rows of a backend with what the project's tasks and the settings declare.

    discovered: the task modules. level: of the log message about what was done. What is wrong is left as it is. Raise
    InvalidSchedule for the first such declaration, once the others are done.
    """
    found, problems = find_declarations(alias)
    complete = discovered.complete and not problems
    done = synchronise(get_broker(alias), found, complete=complete, decisive=True, level=level)
    for problem in problems:
        raise problem
    return done


def _is_current(apps: Any) -> bool:
    """Return whether the table has the columns of this release: it may be migrated to an older one, or to none."""
    try:
        stored = apps.get_model("django_tasks_q", "Schedule")
    except LookupError:
        return False
    return {item.column for item in stored._meta.fields} == {item.column for item in Schedule._meta.fields}
