from django.apps import AppConfig


class IncuriousConfig(AppConfig):
    name = "tests.incurious"

    def ready(self) -> None:
        # Not before the models are there.
        from django_tasks_q.worker import canceller  # noqa: PLC0415

        canceller.TOLD = canceller.UNTOLD = 3_600.0
