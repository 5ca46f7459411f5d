from django.contrib import admin
from django.http import HttpRequest

from .models import Report

__all__ = ["ReportAdmin"]


@admin.register(Report)
class ReportAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The site creates reports; here they can be viewed and deleted."""

    list_display = ["package", "distribution", "version", "created_at"]
    search_fields = ["package", "distribution"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Report | None = None) -> bool:
        return False
