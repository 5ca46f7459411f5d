"""Periodic jobs. Defining them needs no models, so that task modules can be imported at any time."""

from .declaring import periodic
from .timings import cron, every, once, solar

__all__ = ["cron", "every", "once", "periodic", "solar"]
