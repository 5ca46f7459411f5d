"""An app with which workers hardly ever look by themselves: a wake-up that they overlook is noticed."""

from django.apps import AppConfig

from django_tasks_q.notifiers import Notifier

__all__ = ["SELDOM", "Seldom"]

# Ten times as long as a test waits.
SECONDS = 600.0
# Arguments of start_worker().
SELDOM = {"options": {"poll_interval": SECONDS}, "environment": {"TEST_APPS": "tests.notifiers.seldom.Seldom"}}


class Seldom(AppConfig):
    name = "tests.notifiers"

    def ready(self) -> None:
        Notifier.first_sleep = SECONDS
