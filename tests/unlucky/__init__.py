"""An app with which a claim fails once, as if the database had gone: the first one while the file UNLUCKY is there."""

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
    if _fail_once not in connection.execute_wrappers:
        connection.execute_wrappers.append(_fail_once)


def _fail_once(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
    if "status = 'RUNNING', worker_id" in sql and FILE.exists():
        FILE.unlink()
        raise OperationalError("The claim has failed.")
    return execute(sql, *rest)
