"""Schedules of other queues, read from their tables: neither their packages nor their apps are needed."""

from .base import Foreign, Reader
from .celery_beat import read_celery_beat
from .django_q2 import read_django_q2

__all__ = ["READERS", "Foreign"]

READERS: dict[str, Reader] = {"celery-beat": read_celery_beat, "django-q2": read_django_q2}
