from django.urls import path

from . import views

app_name = "analyser"
urlpatterns = [
    path("", views.home, name="home"),
    path("reports/", views.start, name="start"),
    path("reports/<int:pk>/", views.show_report, name="report"),
    path("jobs/failing/", views.enqueue_failing, name="failing"),
    path("jobs/delayed/", views.enqueue_delayed, name="delayed"),
    path("jobs/<uuid:job_id>/", views.show_job, name="job"),
]
