from django.apps import apps
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [path("tasks/", include("django_tasks_q.urls"))]
# A worker has no pages: see the settings.
if apps.is_installed("django.contrib.admin"):
    from django.contrib import admin

    urlpatterns.insert(0, path("admin/", admin.site.urls))
