"""Settings of the test project for a crowd: its site, and a clock around each request."""

import os
from pathlib import Path
from typing import Any

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [*INSTALLED_APPS, "tests.browser.crowd"]
MIDDLEWARE = ["tests.browser.crowd.clock.server_timing", *MIDDLEWARE]
LANGUAGE_CODE = os.environ.get("CROWD_LANGUAGE", "en")
# Nothing is pruned while one looks: the crowd is as old as results are kept.
DAY = 86_400.0
OPTIONS: dict[str, Any] = {"result_ttl": 60 * DAY, "failure_ttl": 60 * DAY, "statistics_ttl": 90 * DAY}
TASKS = {"default": {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": [], "OPTIONS": OPTIONS}}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {
        "console": {"class": "logging.StreamHandler"},
        "statements": {
            "class": "logging.FileHandler",
            "filename": Path(os.environ["CROWD_OUTPUT"]) / "statements.log",
            "delay": True,
        },
    },
    "loggers": {
        "django.request": {"handlers": ["console"], "level": "ERROR", "propagate": False},
        "crowd.statements": {"handlers": ["statements"], "level": "INFO", "propagate": False},
    },
}
