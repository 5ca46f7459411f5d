from typing import ClassVar

from django.core.management.base import CommandError

from ...control import queues
from ..terminal import line
from .base import Answer, Arguments
from .switches import Switch

__all__ = ["Pause", "Resume"]


class QueueSwitch(Switch):
    kind: ClassVar[str] = "queue"
    metavar: ClassVar[str] = "QUEUE"

    def run(self, backend: str, given: Arguments) -> Answer:
        try:
            # All of them, before anything is done.
            for name in given["names"]:
                queues.check_known(name, backend=backend)
            return super().run(backend, given)
        except ValueError as error:
            raise CommandError(line(error), returncode=2) from None


class Pause(QueueSwitch):
    name = "pause"
    help = "Keep workers from taking jobs from queues until they are resumed. Running jobs continue."
    switch = staticmethod(queues.pause)
    done = "paused"
    before = "was paused already"


class Resume(QueueSwitch):
    name = "resume"
    help = "Let workers take jobs from queues again."
    switch = staticmethod(queues.resume)
    done = "resumed"
    before = "was not paused"
