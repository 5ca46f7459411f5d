from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

__all__ = ["TasksQConfig"]


class TasksQConfig(AppConfig):
    name = "django_tasks_q"
    verbose_name = _("Tasks")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Checks and receivers must not be imported before the registry is ready.
        from . import checks  # noqa: F401, PLC0415
        from .compat import register_framework  # noqa: PLC0415
        from .monitoring.jobs import why_not_finished  # noqa: PLC0415
        from .schedules.migrating import synchronise_after_migrate  # noqa: PLC0415
        from .waiting import explain_with  # noqa: PLC0415

        register_framework()
        explain_with(why_not_finished)
        post_migrate.connect(synchronise_after_migrate, sender=self)
