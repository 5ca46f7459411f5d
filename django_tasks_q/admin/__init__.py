"""The pages, on Django's default admin site; register() puts them on another."""

from django.contrib import admin
from django.contrib.admin import AdminSite

from ..models import Job, Queue, Result, Schedule, Worker
from .jobs import JobAdmin
from .queues import QueueAdmin
from .results import ResultAdmin
from .schedules import ScheduleAdmin
from .workers import WorkerAdmin

__all__ = ["JobAdmin", "QueueAdmin", "ResultAdmin", "ScheduleAdmin", "WorkerAdmin", "register"]


def register(site: AdminSite) -> None:
    """Put the pages on an admin site."""
    site.register(Job, JobAdmin)
    site.register(Result, ResultAdmin)
    site.register(Schedule, ScheduleAdmin)
    site.register(Worker, WorkerAdmin)
    site.register(Queue, QueueAdmin)


register(admin.site)
