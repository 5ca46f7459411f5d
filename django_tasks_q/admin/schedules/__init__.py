"""The pages of schedules."""

from .page import ScheduleAdmin

__all__ = ["ScheduleAdmin"]
