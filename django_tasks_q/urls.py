"""The JSON API: path("tasks/", include("django_tasks_q.urls")) in the project's own urls.py."""

from django.urls import path

from . import api

__all__ = ["app_name", "urlpatterns"]

app_name = "django_tasks_q"
urlpatterns = [
    path("api/summary/", api.summary_view, name="api_summary"),
    path("api/queues/", api.queues_view, name="api_queues"),
    path("api/workers/", api.workers_view, name="api_workers"),
    path("api/jobs/", api.jobs_view, name="api_jobs"),
    path("api/statistics/", api.statistics_view, name="api_statistics"),
    path("api/schedules/", api.schedules_view, name="api_schedules"),
    path("api/health/", api.health_view, name="api_health"),
]
