from typing import Any

__all__ = ["QueueRouter"]


class QueueRouter:
    """Keep everything but this package's tables out of the database "queue"."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return app_label == "django_tasks_q" if db == "queue" else None
