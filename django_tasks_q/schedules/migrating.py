"""What `migrate` does about schedules: the release that is being deployed decides."""

from typing import Any

from ..backend import TasksQBackend
from ..brokers import get_broker, get_database
from ..compat import configured_aliases, task_backends
from ..discovery import import_tasks
from ..models import Schedule
from .declaring import find_declarations
from .syncing import Synchronised, synchronise

__all__ = ["synchronise_after_migrate", "synchronise_declared"]


def synchronise_after_migrate(*, using: str, apps: Any = None, **kwargs: Any) -> None:
    """Bring the rows in a database in line with the code, once its tables are those of this release."""
    aliases = [alias for alias in _aliases() if get_database(alias) == using]
    if aliases and (apps is None or _is_current(apps)):
        for alias in aliases:
            synchronise_declared(alias)


def synchronise_declared(alias: str) -> Synchronised:
    """Import the project's tasks, and bring the rows of a backend in line with what they and the settings declare.

    What is wrong is left as it is. Raise InvalidSchedule for the first such declaration, once the others are done.
    """
    complete = import_tasks()
    found, problems = find_declarations(alias)
    done = synchronise(get_broker(alias), found, complete=complete and not problems, decisive=True)
    for problem in problems:
        raise problem
    return done


def _aliases() -> list[str]:
    return [alias for alias in configured_aliases() if isinstance(task_backends[alias], TasksQBackend)]


def _is_current(apps: Any) -> bool:
    """Say whether the table has the columns of this release: one can migrate to an older one, and to none."""
    try:
        stored = apps.get_model("django_tasks_q", "Schedule")
    except LookupError:
        return False
    return {item.column for item in stored._meta.fields} == {item.column for item in Schedule._meta.fields}
