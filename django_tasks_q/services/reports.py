from collections.abc import Callable

from .base import Service

__all__ = ["ReportWriter"]


class ReportWriter(Service):
    """Writes once a second what running jobs have said of how far they are, and logged; without any, nothing.

    write: writes it.
    """

    interval = 1.0

    def __init__(self, write: Callable[[], None]) -> None:
        super().__init__()
        self.write = write

    def run(self) -> None:
        self.write()
