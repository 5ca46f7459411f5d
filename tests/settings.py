"""Settings of the tests, and of the workers that they start in separate processes.

TEST_DATABASE chooses the database of a session: sqlite (the default), postgresql or mysql.
"""

import json
import os
import sys
from pathlib import Path

from . import servers

# The test project's app is tested on every database, and in real workers, which read this too.
sys.path.append(str(Path(__file__).parent.parent / "testproject"))

DATABASE = os.environ.setdefault("TEST_DATABASE", "sqlite")
# Chosen once: the workers of this session inherit it. Each process of `pytest -n` has its own.
DATABASE_NAME = os.environ.setdefault("TEST_DATABASE_NAME", f"test_tasksq_{os.getpid()}")
PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "")
if not DATABASE_NAME.endswith(PROCESS):
    DATABASE_NAME = os.environ["TEST_DATABASE_NAME"] = f"{DATABASE_NAME}_{PROCESS}"

try:
    URL, MISSING = servers.DATABASES[DATABASE](), None
except servers.MissingService as missing:
    URL, MISSING = "", missing

if DATABASE == "mysql":
    servers.mysql_driver()

DATABASES = {
    "default": servers.database_settings(DATABASE, URL, name=DATABASE_NAME),
    # Only for the tables of the backend "elsewhere".
    "queue": servers.database_settings(DATABASE, URL, name=f"{DATABASE_NAME}_queue"),
}
DATABASE_ROUTERS = ["tests.routers.QueueRouter"]

SECRET_KEY = "for tests only"
ALLOWED_HOSTS = ["*"]
USE_TZ = os.environ.get("TEST_USE_TZ", "1") == "1"
TIME_ZONE = "Europe/Berlin"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "static/"

# A worker that a test starts shows no pages, and starts in two thirds of the time without them, hundreds of times. The
# workers of the test project and of the documentation have them, as most sites.
PAGES = [
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
]
INSTALLED_APPS = [
    *([] if "TEST_WORKER_MARK" in os.environ else PAGES),
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django_tasks_q",
    "analyser",
    "tests",
    # A test may have its workers find other tasks: see tests/services/test_scheduler.py.
    *os.environ.get("TEST_APPS", "").split(),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

TASKS = {
    "default": {
        "BACKEND": "django_tasks_q.backend.TasksQBackend",
        "QUEUES": [],
        # A test may give its workers other options: see start_worker.
        "OPTIONS": json.loads(os.environ.get("TEST_TASKS_OPTIONS", "{}")),
    },
    "elsewhere": {
        "BACKEND": "django_tasks_q.backend.TasksQBackend",
        "QUEUES": [],
        "OPTIONS": {"database": "queue"},
    },
}

# A worker may have the migrations of a later version: see tests/worker/test_upgrade.py.
MIGRATION_MODULES = json.loads(os.environ.get("TEST_MIGRATION_MODULES", "{}"))

if "TEST_REDIS_URL" in os.environ:
    CACHES = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": os.environ["TEST_REDIS_URL"],
            # Sessions that run side by side hear only their own workers.
            "KEY_PREFIX": DATABASE_NAME,
        },
    }
