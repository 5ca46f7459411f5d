"""A schedule as its author wrote it: in code, in the settings, or in a row."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..lifecycle import CatchUp, Overlap
from ..moments import to_aware, to_stored
from .timings import Timing, load_timing

if TYPE_CHECKING:
    from ..models import Schedule

__all__ = ["INSTANT", "Definition"]

INSTANT = timedelta(microseconds=1)
MOMENTS = ("start_at", "end_at")


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A schedule's definition; the columns of its row have the same names. Datetimes are aware, times seconds."""

    backend: str = "default"
    name: str
    description: str = ""
    task_path: str
    args: list[object] = field(default_factory=list)
    kwargs: dict[str, object] = field(default_factory=dict)
    queue_name: str = ""
    priority: int | None = None
    options: dict[str, object] = field(default_factory=dict)
    kind: str
    expression: str
    timezone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None
    max_runs: int | None = None
    jitter: int = 0
    expires_after: int | None = None
    catch_up: str = CatchUp.LATEST.value
    catch_up_window: int | None = None
    overlap: str = Overlap.ALLOW.value
    enabled: bool = True

    @classmethod
    def of_row(cls, row: "Schedule") -> "Definition":
        """Return the definition in a row, valid or not."""
        values = {item.name: getattr(row, item.name) for item in fields(cls)}
        return cls(**values | {name: _aware(values[name]) for name in MOMENTS})

    def columns(self) -> dict[str, Any]:
        """Return it as the columns of a row."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {name: to_stored(values[name]) for name in MOMENTS}

    def dump(self) -> dict[str, Any]:
        """Return it in JSON's types."""
        values = asdict(self)
        return values | {name: values[name].isoformat() if values[name] else None for name in MOMENTS}

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> "Definition":
        """Return what dump() has made."""
        moments = {name: datetime.fromisoformat(values[name]) if values[name] else None for name in MOMENTS}
        return cls(**{**values, **moments})

    @property
    def fingerprint(self) -> str:
        """The same for two definitions that mean the same."""
        return hashlib.blake2b(json.dumps(self.dump(), sort_keys=True).encode(), digest_size=16).hexdigest()

    @cached_property
    def timing(self) -> Timing:
        """When it fires. Raise InvalidSchedule."""
        return load_timing(self.kind, self.expression, self.timezone)

    def following(self, after: datetime) -> datetime | None:
        """Return the first occurrence after a time, within start_at and end_at; None if there is none."""
        if self.start_at is not None and after < self.start_at:
            # An occurrence at the very start counts.
            after = max(after, self.start_at - INSTANT)
        occurrence = self.timing.following(after, self.start_at)
        return None if occurrence is None or (self.end_at is not None and occurrence > self.end_at) else occurrence


def _aware(moment: datetime | None) -> datetime | None:
    return None if moment is None else to_aware(moment)
