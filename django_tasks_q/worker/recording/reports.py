from ...services.base import Service
from .recorder import Recorder

__all__ = ["ReportWriter"]


class ReportWriter(Service):
    """Writes the progress and the log lines of running jobs once a second, if there are any."""

    interval = 1.0

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self.recorder = recorder

    def run(self) -> None:
        self.recorder.record_reports()
