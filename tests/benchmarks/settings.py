"""Settings of one peer's processes: BENCH_PEER names the peer, BENCH_DATABASE_URL the database."""

import os

from . import databases
from .peers import PEERS

PEER = PEERS[os.environ["BENCH_PEER"]]
DATABASE_URL = os.environ["BENCH_DATABASE_URL"]

if databases.vendor(DATABASE_URL) == "mysql":
    databases.require_mysql_driver()

# Connections are kept, as is documented for production: Django's default costs every rival one for each task.
DATABASES = {"default": {**databases.settings(DATABASE_URL), "CONN_MAX_AGE": None}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SECRET_KEY = "for benchmarks only"
USE_TZ = True
TIME_ZONE = "UTC"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", *PEER.apps]

globals().update(PEER.settings())
