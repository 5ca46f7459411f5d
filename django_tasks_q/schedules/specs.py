"""The job of an occurrence."""

import hashlib
from datetime import datetime, timedelta

from ..brokers.base import Broker
from ..brokers.values import JobSpec
from ..compat import DEFAULT_TASK_PRIORITY, DEFAULT_TASK_QUEUE_NAME
from ..models import Schedule
from ..moments import to_stored
from ..specs import fill_template, make_template
from ..task_options import EXPIRES_AT
from .definitions import Definition
from .task_info import TaskInfo

__all__ = ["METADATA", "jitter_of", "make_spec"]

# A job's metadata describes its schedule under this key: {"name": ..., "slot": ...}.
METADATA = "schedule"
# In place of what is known about a task that this process does not know.
UNKNOWN = TaskInfo("", DEFAULT_TASK_QUEUE_NAME, DEFAULT_TASK_PRIORITY, {}, [])


def make_spec(
    broker: Broker, row: Schedule, definition: Definition, occurrence: datetime, now: datetime, info: TaskInfo | None
) -> JobSpec:
    """Return the job of an occurrence. Raise UnserializableError if the arguments cannot be stored.

    info: of its task; None if this process does not know it.
    """
    limit = broker.options.max_payload
    known = info or UNKNOWN
    template = make_template(
        definition.task_path,
        to_stored(now),
        limit,
        queue_name=definition.queue_name or known.queue_name,
        priority=known.priority if definition.priority is None else definition.priority,
        options=_options(definition, occurrence),
        metadata={**known.metadata, METADATA: _facts(definition, occurrence)},
        run_after=to_stored(occurrence + jitter_of(row, definition, occurrence)) if definition.jitter else None,
    )
    return fill_template(template, definition.args, definition.kwargs, limit)


def jitter_of(row: Schedule, definition: Definition, occurrence: datetime) -> timedelta:
    """Return how long the job of an occurrence is delayed: always the same for it, but different for each."""
    seed = hashlib.blake2b(f"{row.pk} {occurrence.timestamp()}".encode(), digest_size=8).digest()
    return timedelta(milliseconds=int.from_bytes(seed) % (definition.jitter * 1_000 + 1))


def _facts(definition: Definition, occurrence: datetime) -> dict[str, str]:
    return {"name": definition.name, "slot": occurrence.isoformat()}


def _options(definition: Definition, occurrence: datetime) -> dict[str, object]:
    if definition.expires_after is None:
        return definition.options
    return {**definition.options, EXPIRES_AT: (occurrence + timedelta(seconds=definition.expires_after)).isoformat()}
