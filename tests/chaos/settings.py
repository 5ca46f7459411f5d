"""Settings of all processes of a run. CHAOS_DATABASE: Django's entry of it. CHAOS_OPTIONS: those of TASKS."""

import json
import os

from ..servers import mysql_driver

DATABASES = {"default": json.loads(os.environ["CHAOS_DATABASE"])}
if DATABASES["default"]["ENGINE"].endswith("mysql"):
    mysql_driver()

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for chaos only"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django_tasks_q", "tests.chaos"]
TASKS = {
    "default": {
        "BACKEND": "django_tasks_q.backend.TasksQBackend",
        "QUEUES": [],
        "OPTIONS": json.loads(os.environ.get("CHAOS_OPTIONS", "{}")),
    },
}
