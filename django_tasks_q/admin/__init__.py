"""The admin pages, on Django's default admin site; register() adds them to another one."""

from django.contrib import admin
from django.contrib.admin import AdminSite

from ..models import Job, Queue, Result, Schedule, Worker
from .calls.jobs import JobAdmin
from .calls.results import ResultAdmin
from .queues import QueueAdmin
from .schedules import ScheduleAdmin
from .workers import WorkerAdmin

__all__ = ["JobAdmin", "QueueAdmin", "ResultAdmin", "ScheduleAdmin", "WorkerAdmin", "register"]


def register(site: AdminSite) -> None:
    """Add the pages to an admin site."""
    site.register(Job, JobAdmin)
    site.register(Result, ResultAdmin)
    site.register(Schedule, ScheduleAdmin)
    site.register(Worker, WorkerAdmin)
    site.register(Queue, QueueAdmin)


register(admin.site)
