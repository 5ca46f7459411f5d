"""An app that defines a task as soon as it is imported."""

from .tasks import early

__all__ = ["early"]
