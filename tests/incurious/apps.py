from django.apps import AppConfig

from django_tasks_q.services import canceller


class IncuriousConfig(AppConfig):
    name = "tests.incurious"

    def ready(self) -> None:
        canceller.TOLD = canceller.UNTOLD = 3_600.0
