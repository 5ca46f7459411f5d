from django.apps import AppConfig

__all__ = ["AnalyserConfig"]


class AnalyserConfig(AppConfig):
    name = "analyser"
    verbose_name = "Package analyser"
    default_auto_field = "django.db.models.BigAutoField"
