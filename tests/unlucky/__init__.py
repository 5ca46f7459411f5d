"""An app with which claims fail, as if the database had gone: while the file UNLUCKY is there.

The first that could have had the job that UNLUCKY_TASK names is the last to fail.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import OperationalError
from django.db.backends.signals import connection_created
from django.dispatch import receiver

FILE = Path(os.environ["UNLUCKY"])


@receiver(connection_created)
def watch(connection: Any, **kwargs: Any) -> None:
    if _fail not in connection.execute_wrappers:
        connection.execute_wrappers.append(_fail)


def _fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    if "status = 'RUNNING', worker_id" in sql and FILE.exists():
        with context["connection"].cursor() as cursor:
            cursor.execute("SELECT 1 FROM django_tasks_q_job WHERE task_path = %s", [os.environ["UNLUCKY_TASK"]])
            if cursor.fetchone():
                FILE.unlink()
        raise OperationalError("The claim has failed.")
    return execute(sql, params, many, context)
