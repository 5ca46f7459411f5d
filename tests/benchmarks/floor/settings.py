"""Settings of the process that makes the tables. FLOOR_DATABASE_URL names the database."""

import os

from .. import databases

DATABASES = {"default": databases.settings(os.environ["FLOOR_DATABASE_URL"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for benchmarks only"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_tasks_q"]
TASKS = {"default": {"BACKEND": "django_tasks_q.backend.TasksQBackend", "QUEUES": [], "OPTIONS": {}}}
