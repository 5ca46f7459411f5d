"""What a test needs that may not be here: it is skipped then, or fails under CI.

Apart from `servers`, which the settings import: a worker has no use for pytest, and is started hundreds of times.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from .servers import MissingService, is_required

__all__ = ["need_package", "require"]


def require(find: Callable[[], str]) -> str:
    """Return what `find` finds. Skip the test where that is missing, or fail it under CI."""
    try:
        return find()
    except MissingService as missing:
        (pytest.fail if is_required() else pytest.skip)(str(missing))


def need_package(name: str) -> Any:
    """Import and return a package of the extra [test]. Skip the test without it, or fail under CI."""
    return import_module(name) if is_required() else pytest.importorskip(name)
