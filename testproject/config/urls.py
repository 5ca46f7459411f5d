from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path

urlpatterns = [
    path("", include("analyser.urls")),
    path("admin/", admin.site.urls),
    path("tasks/", include("django_tasks_q.urls")),
    # Without a web server in front, and without DEBUG: good enough for a site that one looks at on one's own machine.
    path("static/<path:path>", serve, {"insecure": True}),
]
